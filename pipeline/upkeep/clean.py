"""The tool `python -m pipeline clean`: what can be removed, and its removal."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.environments import lock_folder
from pipeline.errors import PipelineError
from pipeline.root import ROOT
from pipeline.upkeep.leftovers import find_environments, find_outputs, find_wandb_files
from pipeline.upkeep.removal import Removal, readable
from pipeline.usage import nobody_works

_SHOWN = 10  # things of a group that are named


class CleanError(PipelineError):
    """Something that was to be removed is still there."""


@dataclass(frozen=True)
class Wishes:
    """What may go.

    Attributes:
        cache_size: Bytes that wandb may keep of artifacts.
        days: Age in days from which Hydra's folders go.
        versions: How many old versions without an alias stay, of each artifact; None: all.
        overrides: Keys of config.yaml that name the project whose versions may go.
    """

    cache_size: int
    days: float
    versions: int | None
    overrides: list[str]


def clean(wishes: Wishes, say: Callable[[str], None], *, delete: bool) -> int:
    """Tell what can be removed, and remove it if that is wanted.

    Args:
        wishes: What may go.
        say: Tells a person a line.
        delete: Whether to remove it.

    Returns:
        0.

    Raises:
        ArtifactError: There is no such project.
        CleanError: Something couldn't be removed; all else was.
    """
    with nobody_works(lock_folder()) as idle:
        found, notes = _find(wishes, idle=idle)
        for line in [*format_removals(found), *notes]:
            say(line)
        failed = []
        for item in found if delete else []:
            try:
                item.remove()
            except OSError as error:
                failed.append(f"{item.name} is still there: {error}")
    if failed:
        raise CleanError("\n".join(failed))
    if not found:
        say("There is nothing to remove.")
    elif delete:
        say(f"\nRemoved; this freed {_gain(found)}.")
    else:
        say(f"\nNothing was removed. With --delete, this would free {_gain(found)}.")
    return 0


def _gain(found: list[Removal]) -> str:
    """Say what removing things frees, at once and later."""
    late = sum(item.size for item in found if item.is_late)
    now = sum(item.size for item in found) - late
    parts = [readable(now)] if now or not late else []
    if late:
        parts.append(f"{readable(late)} once `python -m wandb_server gc --delete` has run")
    return ", and ".join(parts)


def _find(wishes: Wishes, *, idle: bool) -> tuple[list[Removal], list[str]]:
    """Return what can go, and what people should know of what can't."""
    found: list[Removal | str] = []
    if idle:
        found += find_environments(ROOT)
        found += find_wandb_files(wishes.cache_size)
    else:
        found.append("A pipeline is at work: environments and wandb's files are left alone.")
    found += find_outputs(Path.cwd(), wishes.days)
    if wishes.versions is not None:
        found += _find_versions(wishes.overrides, wishes.versions)
    return (
        [item for item in found if isinstance(item, Removal)],
        [item for item in found if isinstance(item, str)],
    )


def _find_versions(overrides: list[str], keep: int) -> Iterator[Removal]:
    from pipeline.compose import compose_config
    from pipeline.upkeep.versions import OldVersions
    from pipeline.wandb_target import choose

    main = compose_config(overrides).main
    target = choose(main.wandb, os.environ)
    return OldVersions(target, main.project_name).find(keep)


def format_removals(found: list[Removal]) -> Iterator[str]:
    """Yield lines for people: each group with its size, then its things, the largest first."""
    for group, items in groupby(found, key=lambda item: item.group):
        ordered = sorted(items, key=lambda item: -item.size)
        size = readable(sum(item.size for item in ordered))
        yield f"{group:<24}{size:>10}"
        for item in ordered[:_SHOWN]:
            yield f"  {readable(item.size):>10}  {item.name}"
        if len(ordered) > _SHOWN:
            rest = readable(sum(item.size for item in ordered[_SHOWN:]))
            yield f"  {rest:>10}  {len(ordered) - _SHOWN:,} more"
