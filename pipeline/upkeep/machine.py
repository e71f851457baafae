"""What the doctor looks at on the machine: programs, packages, variables, disks."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.environments import INSTALL, PROGRAMS, environment_root
from pipeline.git import GitError, git, read_code
from pipeline.lock import CONSTRAINTS, read_requirements
from pipeline.upkeep.finding import Finding, fail, ok, warn
from wandb_server import paths

OLDEST = (3, 11)
# The environments of all steps take about 2 GB, where no other project's share files with them.
ROOMY, CRAMPED = 3_000_000_000, 300_000_000  # bytes
_SHOWN = 4


def check_python() -> Finding:
    """Look at the Python that runs this."""
    said = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] >= OLDEST:
        return ok("Python", said)
    wanted = ".".join(map(str, OLDEST))
    return fail("Python", f"{said} is too old", f"python{wanted} -m venv .venv, or a newer one")


def check_packages(root: Path) -> Finding:
    """Compare what is installed beside this Python with the project's constraints.txt.

    Args:
        root: Folder of main.py.
    """
    mend = f"uv pip install -r {CONSTRAINTS}"
    pins = read_pins(root / CONSTRAINTS)
    installed = find_packages()
    direct = [_name(line) for line in read_requirements(root / "conda.yml")[1]]
    missing = [name for name in direct if name not in installed]
    if missing:
        return fail("packages", f"not installed: {', '.join(missing)}", mend)
    other = [
        f"{name} {installed[name]} instead of {version}"
        for name, version in pins.items()
        if name in installed and installed[name] != version
    ]
    if other:
        shown = ", ".join(other[:_SHOWN]) + (
            f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        )
        return warn("packages", f"not the pinned versions: {shown}", mend)
    return ok(
        "packages", f"the {len(direct)} direct ones and theirs are as {CONSTRAINTS} pins them"
    )


def read_pins(constraints: Path) -> dict[str, str]:
    """Return the versions that a constraints.txt pins for this machine, by package.

    Args:
        constraints: The file; markers say which lines are for other systems.
    """
    lines = [line for line in constraints.read_text().split("\n") if line and line[0] != "#"]
    pins = [Requirement(line) for line in lines]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def find_packages(folder: Path | None = None) -> dict[str, str]:
    """Return versions by package.

    Args:
        folder: A site-packages folder; None looks where this Python does.
    """
    found = metadata.distributions(path=[str(folder)]) if folder else metadata.distributions()
    named = [item for item in found if item.metadata["Name"]]
    # The first one on the path is the one that is imported.
    return {canonicalize_name(item.metadata["Name"]): item.version for item in reversed(named)}


def _name(requirement: str) -> str:
    return str(canonicalize_name(Requirement(requirement).name))


def check_git(root: Path) -> Finding:
    """Look for git, and whether it knows this project.

    Args:
        root: Folder of main.py.
    """
    try:
        version = git("version", folder=root).decode().split()[2]
    except GitError as error:
        return warn(
            "git", f"{error}: runs record no commit, and can't be reproduced", "install git"
        )
    code = read_code(root)
    if not code.commit:
        said = f"{version}, but runs here can't be reproduced: {code.trouble.splitlines()[0]}"
        return warn("git", said, "git clone the project instead of unpacking or copying it")
    if code.dirty and not code.patch:
        said = f"{version}; runs here can't be reproduced: {code.trouble}"
        return warn("git", said, "git commit")
    state = "uncommitted changes, which runs record" if code.dirty else "nothing uncommitted"
    return ok("git", f"{version}; commit {code.commit[:12]}, {state}")


def check_manager(manager: str) -> Finding:
    """Look for the program that makes the steps' environments.

    Args:
        manager: uv, conda, virtualenv or local.
    """
    name = "env manager"
    program = PROGRAMS.get(manager)
    if program is None:
        return ok(name, "local: the steps run in this Python's own environment")
    place = shutil.which(program)
    if place is None:
        return fail(name, f"{program} isn't on the PATH", INSTALL[manager])
    said = subprocess.run([place, "--version"], capture_output=True, text=True, check=False)
    words = (said.stdout or said.stderr).strip().split("\n")[0]
    if said.returncode:
        return fail(name, f"`{place} --version` fails: {words}", INSTALL[manager])
    return ok(name, f"{words} ({place})")


# They say where a run writes to, beside the folder that it is called in.
VARIABLES = {
    "temp": "TMPDIR",
    "W&B data": paths.VARIABLE,
    "environments": "MLFLOW_ENV_ROOT",
}


def check_disks(here: Path) -> Iterator[Finding]:
    """Look at the room on each disk that a run writes to.

    Args:
        here: The working folder.
    """
    places = {
        "temp": Path(tempfile.gettempdir()),
        "W&B data": paths.data_dir(),
        "environments": environment_root(),
        "this folder": here,
    }
    disks: dict[int, list[str]] = {}
    free: dict[int, int] = {}
    for name, wanted in places.items():
        folder = next(path for path in [wanted, *wanted.absolute().parents] if path.exists())
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            way = f"export {VARIABLES[name]}=" if name in VARIABLES else "cd "
            mend = f"{way}<a folder that can be written to>"
            yield fail("disk", f"{name}: {folder} is on a read-only disk", mend)
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield fail("disk", f"{name}: {folder} can't be written to", f"chmod u+rwx {folder}")
        device = folder.stat().st_dev
        disks.setdefault(device, []).append(name)
        free[device] = shutil.disk_usage(folder).free
    for device, names in disks.items():
        yield grade_room(free[device], names)


def grade_room(free: int, names: Iterable[str]) -> Finding:
    """Judge the room on a disk.

    Args:
        free: Bytes.
        names: What lies on it.
    """
    said = f"{free / 1e9:.1f} GB free for {', '.join(names)}"
    mend = "python -m pipeline clean"
    if free >= ROOMY:
        return ok("disk", said)
    return (warn if free >= CRAMPED else fail)("disk", said, mend)


def check_variables(
    environment: Mapping[str, str], *, telemetry_decided: bool
) -> Iterator[Finding]:
    """Look for environment variables that slow a run down or say more than one may want.

    Args:
        environment: Variables of this process.
        telemetry_decided: Whether the user's shell says anything of MLflow's telemetry.
    """
    slow = "PYTHONDONTWRITEBYTECODE"
    if environment.get(slow):
        said = f"{slow} is set: main.py's imports take twice as long"
        yield warn("variables", said, f"unset {slow}")
    if not telemetry_decided:
        said = "MLflow's own commands report their use to its makers; main.py and its steps don't"
        yield warn("telemetry", said, "export MLFLOW_DISABLE_TELEMETRY=true")
