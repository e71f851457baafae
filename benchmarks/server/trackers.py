"""Who does the work: the SDK with the local server, the SDK's offline mode, and trackio."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import HERE, isolate, make_environment
from benchmarks.timing import measure
from wandb_server import Server, ensure_running, paths, service

SERVER, OFFLINE, TRACKIO = "local server", "SDK offline", "trackio"
_WORK = Path(__file__).with_name("work.py")


@dataclass(frozen=True)
class Tracker:
    """One way to track.

    Attributes:
        label: What the tables call it.
        python: Interpreter that has the library.
        library: wandb or trackio.
        variables: All environment variables.
        folder: Temporary folder for what it keeps in passing.
    """

    label: str
    python: Path
    library: str
    variables: Mapping[str, str]
    folder: Path

    def do(self, work: str, *arguments: str) -> dict[str, float]:
        """Do one piece of work in a process of its own.

        What the SDK keeps on the disk in passing is removed afterwards, so that its cache never
        stands in for the server.

        Returns:
            Seconds by part, as work.py names them; and `program`, from before the process was
            made until after its end.

        Raises:
            BenchmarkError: It failed; the end of its output is in it.
        """
        scratch = self.folder / "scratch"
        scratch.mkdir()
        try:
            return self._do(work, arguments, scratch)
        finally:
            shutil.rmtree(scratch)

    def _do(self, work: str, arguments: tuple[str, ...], scratch: Path) -> dict[str, float]:
        names = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR")
        folders = {name: str(scratch / name.lower()) for name in names}
        for folder in folders.values():
            Path(folder).mkdir()
        result = scratch / "seconds.json"
        command = [str(self.python), str(_WORK), str(result), self.library, work, *arguments]
        log = self.folder / "output.log"
        measured = measure(command, scratch, {**self.variables, **folders}, log)
        seconds: dict[str, float] = json.loads(result.read_text())
        return {**seconds, "program": measured.seconds}


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Run the local server on a data folder for the length of a block."""
    before = os.environ.get(paths.VARIABLE)
    os.environ[paths.VARIABLE] = str(folder)
    try:
        yield ensure_running()
    finally:
        service.stop()
        if before is None:
            del os.environ[paths.VARIABLE]
        else:
            os.environ[paths.VARIABLE] = before


def make_trackers(folder: Path, server: Server, *, with_trackio: bool) -> list[Tracker]:
    """Make those that are compared, the local server first.

    Args:
        folder: Empty folder.
        server: The server that the first one uses.
        with_trackio: Whether to make an environment with trackio, which needs a network.
    """
    online = online_tracker(folder / "online", server)
    plain = {**online.variables, "WANDB_MODE": "offline"}
    del plain["WANDB_BASE_URL"], plain["WANDB_API_KEY"]
    trackers = [online, _tracker(OFFLINE, Path(sys.executable), "wandb", plain, folder / "offline")]
    if with_trackio:
        own = folder / "trackio"
        variables = isolate(os.environ, own / "home")
        python = make_environment(own / "venv", [HERE / "trackio.txt"], variables)
        # Neither asks Hugging Face for anything.
        variables |= {"TRACKIO_DIR": str(own / "data"), "HF_HUB_OFFLINE": "1"}
        trackers.append(_tracker(TRACKIO, python, "trackio", variables, own))
    return trackers


def online_tracker(folder: Path, server: Server) -> Tracker:
    """Make the one that uses the server."""
    variables = isolate(os.environ, folder / "home") | server.environment()
    return _tracker(SERVER, Path(sys.executable), "wandb", variables, folder)


def _tracker(
    label: str, python: Path, library: str, variables: Mapping[str, str], folder: Path
) -> Tracker:
    folder.mkdir(parents=True, exist_ok=True)
    return Tracker(label, python, library, variables, folder)
