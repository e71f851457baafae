"""The tool `python -m pipeline reproduce`."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline import tracking
from pipeline.compose import compose_config
from pipeline.git import Code, GitError
from pipeline.report import format_table
from pipeline.reproduce.checkout import check_out
from pipeline.reproduce.compare import Level
from pipeline.reproduce.errors import ReproduceError
from pipeline.reproduce.history import History, Project
from pipeline.reproduce.replay import Part, Replay, split
from pipeline.reproduce.scene import Line, Scene
from pipeline.root import ROOT
from pipeline.wandb_target import choose

SAME, DIFFERENT = 0, 1  # exit codes; 2 is for what can't be done


def reproduce(
    target: str,
    overrides: list[str],
    tolerance: float,
    keep: Path | None,
    say: Callable[[str], None],
) -> int:
    """Run again what led to a target, and compare.

    Args:
        target: name:version or name:alias of an artifact, or the id of a run.
        overrides: Keys of config.yaml that name the project and the W&B, as main.py takes them.
        tolerance: Difference of numbers that counts as equal, see `compare_numbers`.
        keep: New folder for the code and all that is made; None throws it away.
        say: Tells a person a line.

    Returns:
        0 if all is identical, or equal within the tolerance; 1 if something is different.

    Raises:
        PipelineError: It can't be done; the message says why.
    """
    main = compose_config(overrides).main
    tracking.quiet()
    os.environ["WANDB_SILENT"] = "true"
    original = Project(choose(main.wandb, os.environ), main.project_name)
    try:
        steps = History(_open_store(), original).find(target)
        parts = split(steps)
        with ExitStack() as resources:
            folder = _make_folder(keep, resources)
            # wandb.Api makes a folder for each run it reads, in the system's one by default.
            os.environ["WANDB_DIR"] = str(folder / "scratch")
            projects = _check_out(parts, folder)
            for part in parts:
                say("\n".join(_describe(part)))
            replay = Replay(folder, say)
            resources.callback(replay.stop_server)
            place = replay.start_server(projects[0], parts[0].record)
            again = Project(place, f"{main.project_name}-reproduce")
            scene = Scene(original, replay, again, say)
            for part, project in zip(parts, projects, strict=True):
                scene.run(part, project)
            lines = scene.compare(steps, tolerance, folder)
    except (GitError, MlflowException) as error:
        raise ReproduceError(str(error)) from error
    say(format_lines(lines))
    say(conclude(lines, tolerance))
    if keep:
        say(f"What was made lies in {folder}.")
    return SAME if _worst(lines) < Level.different else DIFFERENT


def _open_store() -> MlflowClient:
    """Return MLflow's store, which must be there: looking must not make one."""
    address = mlflow.get_tracking_uri()
    parts = urlsplit(address)
    if parts.scheme == "sqlite" and not Path(parts.path.removeprefix("/")).exists():
        raise ReproduceError(
            f"There is no MLflow store {address} here. Call this in the folder where main.py was "
            "called, or set MLFLOW_TRACKING_URI."
        )
    return MlflowClient()


def _make_folder(keep: Path | None, resources: ExitStack) -> Path:
    if keep is None:
        return Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="reproduce-")))
    try:
        keep.mkdir(parents=True)
    except FileExistsError as error:
        raise ReproduceError(f"{keep} is there already: give --keep a new folder.") from error
    return keep.resolve()


def _check_out(parts: list[Part], folder: Path) -> list[Path]:
    """Return the project's folder for each part; parts with the same code share one."""
    projects: dict[Code, Path] = {}
    for part in parts:
        code = part.record.code
        if code not in projects:
            projects[code] = check_out(code, folder / f"code-{len(projects) + 1}", ROOT)
    return [projects[part.record.code] for part in parts]


def _describe(part: Part) -> list[str]:
    """Say what is going to be run again, and of which code."""
    record, code = part.record, part.record.code
    state = "nothing uncommitted"
    if code.dirty:
        files = code.patch.count(b"\ndiff --git ") + code.patch.startswith(b"diff --git ")
        state = (
            f"and uncommitted changes to {files} file{'s' if files > 1 else ''}: the tree was "
            "dirty. Its changes were recorded and are applied"
        )
    lines = [
        " > ".join(step.name for step in part.steps),
        f"  pipeline run {record.run_id}, {record.machine}",
        f"  commit {code.commit[:12]}, {state}",
    ]
    if record.config["main"]["env_manager"] == "local":
        lines.append("  main.env_manager=local: the packages are those that are installed now")
    return [*lines, ""]


def format_lines(lines: list[Line]) -> str:
    """Return a table of what was compared, with the differences below each row."""
    results = [line.verdict.level.name if line.verdict else line.aside for line in lines]
    rows = [(line.step, line.thing, said) for line, said in zip(lines, results, strict=True)]
    head, rule, *body = format_table(("step", "made", "result"), rows).split("\n")
    told = [head, rule]
    for row, line in zip(body, lines, strict=True):
        told += [row, *(f"    {note}" for note in (line.verdict.notes if line.verdict else ()))]
    return "\n".join(told)


def conclude(lines: list[Line], tolerance: float) -> str:
    """Sum the comparisons up in one sentence."""
    compared = [line for line in lines if line.verdict]
    worst = _worst(lines)
    if worst == Level.identical:
        return f"\nIdentical: all {len(compared)} comparisons, files and metrics to the last bit."
    found = [line for line in compared if line.verdict and line.verdict.level == worst]
    names = ", ".join(f"{line.thing} of {line.step}" for line in found)
    if worst == Level.equal:
        return f"\nEqual within a tolerance of {tolerance:g}, not to the last bit: {names}."
    return f"\nDifferent: {names}."


def _worst(lines: list[Line]) -> Level:
    return max((line.verdict.level for line in lines if line.verdict), default=Level.identical)
