"""What pipelines leave behind on the disk: environments, files of wandb, folders of Hydra."""

import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.environments import unfinished_mark
from pipeline.upkeep.removal import Removal, has_links, measure, newest, readable
from pipeline.upkeep.step_environments import find_half_built, find_stale
from pipeline.usage import forget, read_users

DAY = 86_400  # seconds
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{2}-\d{2}-\d{2}.*")


def find_environments(root: Path) -> Iterator[Removal]:
    """Find environments that nobody needs, of those that pipelines made.

    Args:
        root: Folder of main.py.
    """
    group = "step environments"
    for folder in find_half_built():
        size = measure(folder) if folder.exists() else 0
        yield Removal(group, f"{folder.name}, half-built", size, partial(_remove_env, folder))
    for folder in find_stale(root):
        if not unfinished_mark(folder).exists():
            # None, if its maker was killed between making it and writing for whom.
            users = read_users(folder)
            others = f" and {len(users) - 1} more" if len(users) > 1 else ""
            name = f"{folder.name}, made for {users[0] if users else 'nobody'}{others}"
            yield Removal(group, name, measure(folder), partial(_remove_env, folder))


def _remove_env(folder: Path) -> None:
    # With the mark, what is left after a kill is known as half-built.
    unfinished_mark(folder).touch()
    if folder.exists():
        shutil.rmtree(folder)
    forget(folder)
    unfinished_mark(folder).unlink()


def find_wandb_files(limit: int) -> Iterator[Removal | str]:
    """Find what wandb keeps of artifacts beyond a size.

    Args:
        limit: Bytes that may stay, in the cache and among staged files each.

    Yields:
        What can go; a text for what is left alone, though it is too large.
    """
    from wandb.sdk.artifacts.artifact_file_cache import ArtifactFileCache, artifacts_cache_dir
    from wandb.sdk.artifacts.staging import get_staging_dir

    cache = artifacts_cache_dir()
    size = measure(cache) if cache.is_dir() else 0
    if size > limit and has_links(cache):
        yield f"{cache} holds links to elsewhere, which wandb would follow: it is left alone."
    elif size > limit:
        name = f"{cache}: what was used least recently, of {readable(size)}"
        clean = partial(ArtifactFileCache(cache).cleanup, target_size=limit)
        yield Removal("wandb's cache", name, size - limit, clean)
    staged = Path(get_staging_dir())
    yield from find_staged(staged, limit, time.time() - DAY)


def find_staged(folder: Path, limit: int, before: float) -> Iterator[Removal]:
    """Find files that wandb staged for an upload which never ended, the oldest first.

    Args:
        folder: Where wandb stages files.
        limit: Bytes that may stay.
        before: Younger files stay; in seconds since 1970.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    left = sum(path.stat().st_size for path in files)
    for path in sorted(files, key=lambda path: path.stat().st_mtime):
        status = path.stat()
        if left <= limit or status.st_mtime > before:
            return
        left -= status.st_size
        yield Removal("wandb's staged files", str(path), status.st_size, path.unlink)


def find_outputs(here: Path, days: float) -> Iterator[Removal]:
    """Find folders that Hydra made for runs and sweeps, and that nothing was written to lately.

    Args:
        here: Folder where main.py was called.
        days: How long ago something was last written.
    """
    before = time.time() - days * DAY
    for kind, mark in (("outputs", ".hydra"), ("multirun", "multirun.yaml")):
        for folder in sorted((here / kind).glob("*/*")):
            parents = [folder, folder.parent, here / kind]
            if (
                not any(path.is_symlink() for path in parents)
                and _DATE.fullmatch(folder.parent.name)
                and _TIME.fullmatch(folder.name)
                and (folder / mark).exists()
                and newest(folder) < before
            ):
                size = measure(folder)
                yield Removal(kind, str(folder.relative_to(here)), size, partial(_remove, folder))


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
