"""How a server process is started so that it is nobody's child and has nobody's environment."""

import os
import subprocess
import sys
from pathlib import Path

from wandb_server.server_error import ServerError

_LINES_KEPT = 20


def launch(folder: Path, port: int | None, idle_seconds: float, patience: float) -> str:
    """Start a server process and wait until it is ready or has ended.

    The process leaves this pipe for its log file when it is ready, so that the pipe's end is
    the sign to go on, and so that its last words reach the caller even on a full disk.

    Args:
        folder: The data folder; it exists.
        port: Port to listen on; None leaves the choice to the server.
        idle_seconds: Seconds without a request after which it ends.
        patience: Seconds to wait.

    Returns:
        The last lines of what it said; empty if it is ready.

    Raises:
        ServerError: It is neither ready nor gone in time.
    """
    command = [sys.executable, "-P", "-m", "wandb_server.process", str(folder)]
    command += [str(port or 0), str(idle_seconds)]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_server_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(
            f"the server for {folder} wasn't ready within {patience:.0f} seconds: "
            f"{(error.output or b'it said nothing').decode(errors='replace').strip()}"
        ) from error
    return "\n".join(done.stdout.decode(errors="replace").strip().splitlines()[-_LINES_KEPT:])


def _server_environment() -> dict[str, str]:
    """Give the server this process's environment without what is meant for somebody else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "WANDB_", "PYTHON"))
    }
    # The caller may have found this package by its working folder, and the server's
    # dependencies by relative entries.
    package = str(Path(__file__).absolute().parents[1])
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    kept["PYTHONPATH"] = os.pathsep.join([package, *map(os.path.abspath, others)])
    return kept
