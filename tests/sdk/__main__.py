"""Runs the SDK's own system tests against this server: `python -m tests.sdk CHECKOUT`.

CHECKOUT is a folder with the SDK's public repository. Its tests run unchanged, in an environment
of their own that uv makes; of the repository only `tests/`, `tools/` and `pyproject.toml` are
used, from a copy, so that the SDK under test is the released one.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.sdk.report import failures, read_results, table

_HERE = Path(__file__).parent
_PARTS = ("test_core", "test_artifacts", "test_api", "test_sweep")
_USED = ("tests", "tools", "pyproject.toml")
_PLUGINS = ("gone", "apart")


def main() -> int:
    """Run the wanted parts; print the table and every failure that has no known reason.

    Returns:
        0 when every test passed or has a reason in reasons.toml, else 1.
    """
    options = _parse_options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = copy_suite(options.checkout, folder / "suite")
        results = {}
        with serve(folder / "data") as port:
            environment = _environment(folder)
            connect = ["python", "tools/local_wandb_server.py", "start", "--hostname=localhost"]
            ports = [f"--base-port={port}", f"--fixture-port={port}"]
            command = _uv(options.sdk)
            subprocess.run([*command, *connect, *ports], cwd=suite, env=environment, check=True)
            for part in options.parts:
                report = options.logs / f"{part}-{options.sdk}.xml"
                with report.with_suffix(".log").open("w") as log:
                    test = [*command, *_pytest(part, report, options.workers)]
                    subprocess.run(test, cwd=suite, env=environment, stdout=log, stderr=log)
                results[part] = read_results(report, options.sdk)
    print(table(results, options.sdk), *failures(results), sep="\n")  # noqa: T201  its output
    return 1 if failures(results) else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sdk", description=__doc__)
    parser.add_argument("checkout", type=Path, help="folder with the SDK's repository")
    parser.add_argument("--sdk", default="0.31.0", help="release of wandb to test (%(default)s)")
    parser.add_argument("--parts", nargs="+", default=_PARTS, help="folders below system_tests")
    parser.add_argument("--workers", type=int, default=2, help="tests at once (%(default)s)")
    parser.add_argument(
        "--logs",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="folder that takes pytest's output and its results as XML (%(default)s)",
    )
    options = parser.parse_args()
    if not (options.checkout / "tests" / "system_tests").is_dir():
        parser.error(f"{options.checkout} isn't a checkout of the SDK: no tests/system_tests in it")
    options.logs = options.logs.absolute()
    return options


def copy_suite(checkout: Path, folder: Path) -> Path:
    """Copy what the tests need, without the SDK's source, which would hide the released one."""
    folder.mkdir()
    for name in _USED:
        source = checkout / name
        if source.is_dir():
            compiled = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=compiled)
        else:
            shutil.copy(source, folder / name)
    for plugin in _PLUGINS:
        shutil.copy(_HERE / f"{plugin}.py", folder)
    for left_over in (folder / "tools").glob("local_wandb_server.state*"):
        left_over.unlink()
    return folder


@contextlib.contextmanager
def serve(data: Path) -> Iterator[int]:
    """Run the server on an empty data folder, and give its port."""
    command = [sys.executable, "-m", "tests.sdk.server", str(data)]
    root = _HERE.parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def _environment(folder: Path) -> dict[str, str]:
    """Give an environment without the user's home, accounts and settings of W&B."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    caches = Path.home() / ".cache" / "uv"
    own.setdefault("UV_CACHE_DIR", str(caches))
    own.pop("VIRTUAL_ENV", None)
    home = folder / "home"
    home.mkdir()
    return {**own, "HOME": str(home)}


def _uv(sdk: str) -> list[str]:
    needs = ["--with", f"wandb[sweeps]=={sdk}", "--with-requirements", str(_HERE / "suite.txt")]
    return ["uv", "run", "--quiet", "--no-project", "--python", "3.11", *needs]


def _pytest(part: str, report: Path, workers: int) -> list[str]:
    return [
        *("python", "-m", "pytest", f"tests/system_tests/{part}", "-q", "--tb=short"),
        *(word for plugin in _PLUGINS for word in ("-p", plugin)),
        *("-o", "addopts=", "--timeout=60"),
        *("-n", str(workers), f"--junitxml={report}"),
    ]


if __name__ == "__main__":
    sys.exit(main())
