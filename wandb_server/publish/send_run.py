"""Opens a run at the target and sends what it lacks there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from wandb_server.blobs import BlobStore, base64_digest
from wandb_server.lines import finite, parse_object
from wandb_server.publish.plan import (
    FINISHED,
    TargetRun,
    comparable,
    final_state,
    labels,
    plain_summary,
)
from wandb_server.publish.source import (
    SourceRun,
    merge_rows,
    plain_config,
    read_console,
    read_history,
)
from wandb_server.publish.target import Target
from wandb_server.server_error import ServerError
from wandb_server.upkeep.store import Store

# Numbers under which the SDK stores in a config what `define_metric` was told.
_SUMMARIES = {1: "min", 2: "max", 3: "mean", 5: "last", 6: "none", 7: "copy", 8: "first"}
_STEP_SYNC, _HIDDEN = 1, 2
_DELETED = "previously created and deleted"  # W&B's words
ORPHANS = "published-artifacts"  # the run that logs versions whose own run is gone


@contextmanager
def opened_run(
    sdk: ModuleType, target: Target, run: SourceRun | None, scratch: Path
) -> Iterator[Any]:
    """Open a run at the target, under the same id, and end it in the state that it has here.

    Args:
        sdk: The package wandb.
        target: Where to.
        run: Which run; None opens the one that stands in for runs that are gone.
        scratch: Folder for what the SDK writes.

    Raises:
        ServerError: The target's run of this id was deleted.
    """
    settings = sdk.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
    words: dict[str, Any] = {"id": ORPHANS, "job_type": "publish"}
    if run is not None:
        words = {"id": run.row.name} | {name: value or None for name, value in labels(run).items()}
    try:
        active = sdk.init(
            entity=target.entity,
            project=target.project,
            dir=scratch,
            resume="allow",
            settings=settings,
            **words,
        )
    except sdk.Error as error:
        if _DELETED in str(error):
            raise ServerError(
                "it was deleted there, and no other run gets its id: give another --project"
            ) from error
        raise
    try:
        yield active
    except BaseException:
        active.finish(exit_code=1)
        raise
    active.finish(exit_code=0 if run is None or final_state(run) == FINISHED else 1)


def send_run(
    active: Any,
    store: Store,
    run: SourceRun,
    held: TargetRun | None,
    translate: Callable[[str], str],
) -> None:
    """Send config, history, console lines, metrics' definitions and summary.

    Args:
        active: The open run.
        store: The data folder.
        run: The run as it is here.
        held: What the target holds of it; None for nothing.
        translate: Rewrites references to versions.
    """
    active.config.update(plain_config(run.row), allow_val_change=True)
    last_step, lines = (held.last_step, held.console_lines) if held else (-1, 0)
    history = read_history(store.connection, run.row.id, last_step)
    for step, contents in groupby(history, key=itemgetter(0)):
        row = merge_rows(parse_object(translate(content)) for _, content in contents)
        # The SDK measures these two itself and takes no other value.
        values = {key: row[key] for key in row if key not in ("_step", "_runtime")}
        active.log(values, step=step, commit=True)
    for line in read_console(store.connection, run.row.id, lines):
        active.write_logs(line)
    # After the history: else the SDK adds to its rows what the definitions ask for.
    define_metrics(active, run)
    summary = plain_summary(parse_object(translate(run.row.summary_metrics)))
    # The SDK would send null for what isn't finite; it has that from the history already.
    active.summary.update(
        {key: summary[key] for key in summary if finite(summary[key]) == summary[key]}
    )


def define_metrics(active: Any, run: SourceRun) -> None:
    """Say again what the run's program said by `define_metric`."""
    told = run.row.sdk_config() or {}
    rules = [rule for rule in told.get("m") or [] if isinstance(rule, dict)]
    for rule in rules:
        number = rule.get("5")
        axis = rule.get("4") or (rules[number - 1].get("1") if number else None)
        options = rule.get("6") or []
        kinds = [_SUMMARIES[kind] for kind in rule.get("7") or [] if kind in _SUMMARIES]
        active.define_metric(
            rule.get("1") or rule["2"],
            step_metric=axis,
            step_sync=_STEP_SYNC in options,
            hidden=_HIDDEN in options,
            summary=",".join(kinds) or None,
        )


def correct_summary(
    target: Target, run: SourceRun, held: TargetRun, translate: Callable[[str], str]
) -> None:
    """Give the summary at the target the keys and values that it has here, and no others.

    The SDK adds what it derives from the history, and loses what isn't finite when it opens a
    run again: that becomes null.
    """
    wanted = plain_summary(parse_object(translate(run.row.summary_metrics)))
    there = plain_summary(held.summary)
    if comparable(wanted) == comparable(there):
        return
    summary = target.run(run.row.name).summary
    for key in there.keys() - wanted.keys():
        del summary[key]
    summary.update(wanted)


def missing_files(run: SourceRun, held: TargetRun | None) -> list[str]:
    """List the files of a run that the target lacks, or holds with another content."""
    digests = held.digests if held else {}
    return [f.name for f in run.files if digests.get(f.name) != base64_digest(f.digest)]


def send_files(
    target: Target, blobs: BlobStore, run: SourceRun, names: list[str], scratch: Path
) -> None:
    """Upload files of a run from where they are stored.

    Raises:
        StorageError: A file is missing or was altered on the disk.
    """
    remote = target.run(run.row.name)
    root = scratch / "files" / str(run.row.id)
    for file in run.files:
        if file.name in names:
            blobs.check(file.digest)
            place = root / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(blobs.path(file.digest).absolute())
            remote.upload_file(str(place), root=str(root))
            place.unlink()
