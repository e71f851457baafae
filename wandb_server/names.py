"""Checks of every name that a client sends, before it is stored or becomes part of a path."""

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

from wandb_server.errors import ClientError

_MAX_BYTES = 255
_MAX_PATH_BYTES = 4096
_ARTIFACT_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"v\d+")


def check_label(kind: str, name: str) -> str:
    """Check an entity, project, run, type or alias name.

    Args:
        kind: What is named, for the message: "project", "run", ...
        name: The name as the client sent it.

    Returns:
        The same name.

    Raises:
        ClientError: The name is empty, over 255 bytes, "." or "..", or holds a slash,
            a backslash or a control character.
    """
    if not name or name in {".", ".."}:
        raise ClientError(f"{kind} name {name!r}: give it at least one letter or digit")
    _check_characters(kind, name, _MAX_BYTES)
    if "/" in name or "\\" in name:
        raise ClientError(f"{kind} name {name!r}: slashes aren't allowed")
    return name


def check_artifact_name(name: str) -> str:
    """Check the name of an artifact collection: letters, digits, dot, dash and underscore.

    Raises:
        ClientError: Another character, an empty name, or over 128 characters.
    """
    if len(name) > 128 or not _ARTIFACT_NAME.fullmatch(name) or name in {".", ".."}:
        raise ClientError(
            f"artifact name {name!r}: use 1 to 128 letters, digits, dots, dashes and underscores"
        )
    return name


def check_alias(alias: str) -> str:
    """Check an alias; `v0`, `v1`, ... are taken by the versions themselves.

    Raises:
        ClientError: The alias looks like a version, or isn't a plain label.
    """
    if _VERSION.fullmatch(alias):
        raise ClientError(f"alias {alias!r}: v and a number names a version; take another alias")
    if ":" in alias:
        raise ClientError(f"alias {alias!r}: a colon isn't allowed")
    return check_label("alias", alias)


def check_file_path(kind: str, path: str) -> str:
    """Check the relative path of a file of a run or of an artifact.

    Returns:
        The same path.

    Raises:
        ClientError: The path is empty, absolute, too long, has a ".." part or a control character.
            What would be absolute or have such a part on Windows counts too: whoever downloads
            the file may be there.
    """
    _check_characters(kind, path, _MAX_PATH_BYTES)
    windows = PureWindowsPath(path)  # takes both kinds of slashes
    if not PurePosixPath(path).parts or windows.root or ".." in windows.parts:
        raise ClientError(f"{kind} {path!r}: give a relative path without '..'")
    return path


def is_version(label: str) -> bool:
    """Tell whether a label names a version (`v0`, `v12`) rather than an alias."""
    return bool(_VERSION.fullmatch(label))


def _check_characters(kind: str, name: str, limit: int) -> None:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise ClientError(f"{kind} name {name!r}: control characters aren't allowed")
    if len(name.encode()) > limit:
        raise ClientError(f"{kind} name {name[:40]!r}...: longer than {limit} bytes")
