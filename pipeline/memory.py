"""Files in the user's cache folder: what makes the next run faster, and may be lost."""

import os
from pathlib import Path

import platformdirs


def memory_file(kind: str, name: str) -> Path:
    """Return the place of a file, which need not exist.

    Args:
        kind: What such files are for; the name of their folder.
        name: The file's.
    """
    return platformdirs.user_cache_path("ml-pipeline") / kind / name


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, whoever else writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
