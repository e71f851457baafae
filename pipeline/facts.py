"""What a step depends on, written down as facts: when one changes, the step must run again."""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.schema import Dataset
from pipeline.signals import wait_for
from pipeline.source import identify
from pipeline.steps import Alias, Artifact, Made, Source, Step

if TYPE_CHECKING:
    from pipeline.registry import Version


class Fact(NamedTuple):
    """One thing that a step depends on.

    Attributes:
        value: Changes when the thing does.
        shown: What people read instead of a digest; None for no more than "changed".
    """

    value: str
    shown: str | None


Facts = dict[str, Fact]
# Asks W&B which version holds an alias.
Holder = Callable[[Alias], "Version | None"]

# These change how fast a step is, not what it makes.
_SPEED = {"n_jobs"}
_SOURCE = {"url", "sha256"}
_SHOWN = 5
# A web address with a user, a password or a query.
_MAY_HOLD_SECRETS = re.compile(r"https?://\S*[@?]")
# A component's page, and what runs, tests and editors leave in its folder.
_NOT_CODE = (
    *("*.md", ".*", "*.pyc", "__pycache__"),
    *("artifacts", "mlflow.db*", "mlruns", "multirun", "outputs", "wandb"),
)


def gather(step: Step, folder: Path, environment: str, holder: Holder) -> Facts | None:
    """Return the facts of a step whose inputs are known.

    Args:
        step: Its artifacts have versions, unless they are not made at all.
        folder: The component's folder.
        environment: Names what the step runs in beside its own conda.yml.
        holder: Says which version holds an alias.

    Returns:
        Facts by name; None if the step takes a source that doesn't tell whether it has changed.
    """
    facts = {"environment": Fact(environment, environment.split()[0])}
    for path in _files(folder):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        facts[path.relative_to(folder).as_posix()] = Fact(digest, None)
    for name, value in step.parameters.items():
        if isinstance(value, Source):
            content = f"sha256 {value.sha256}" if value.sha256 else None
            # A local file costs little to look at; what a server has is what its digest says.
            state = content if content and _is_remote(value) else identify(value.url)
            if state is None:
                return None
            facts[f"content of {name}"] = Fact(state, None)
        facts |= _flatten(name, value)
    return facts | observe(step, holder)


def observe(step: Step, holder: Holder) -> Facts:
    """Return the facts that a step may change itself: which versions hold the aliases it names.

    What counts is what it left behind: as long as that holds, there is nothing to do again.
    """
    aliases = [value for value in step.parameters.values() if isinstance(value, Alias)]
    return {f"holder of {alias.name}": _content(holder(alias)) for alias in aliases}


def _is_remote(source: Source) -> bool:
    return source.url.startswith(("http://", "https://"))


def _files(folder: Path) -> list[Path]:
    """Return the files that make up a component, but for its page, whether git has them or not."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = filter(_is_code, folders)  # the others aren't looked into
        found += [
            path for name in names if _is_code(name) and (path := Path(place, name)).is_file()
        ]
    return sorted(found)


def _is_code(name: str) -> bool:
    return not any(fnmatchcase(name, pattern) for pattern in _NOT_CODE)


def _flatten(name: str, value: Any) -> Facts:
    match value:
        case None:
            return {}
        case Artifact():
            return {name: _content(value.version)}
        case Future():
            return {name: _content(wait_for(value))}
        case Alias() | Made():
            return {} if value.name is None else {name: _plain(value.name)}
        case Source():
            # The same file in another clone is the same source.
            return {name: _plain(value.url if _is_remote(value) else Path(value.url).name)}
        case Enum():
            return {name: _plain(value.value)}
        case dict():
            parts = value
        case Dataset():
            # Where the table is from matters to who fetches it; to all others, what is in it.
            parts = {key: part for key, part in vars(value).items() if key not in _SOURCE}
        case _ if dataclasses.is_dataclass(value):
            parts = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        case _:
            is_text = isinstance(value, str)
            return {name: _plain(value if is_text else json.dumps(value, ensure_ascii=False))}
    facts: Facts = {}
    for key, part in parts.items():
        if key not in _SPEED:
            facts |= _flatten(f"{name}.{key}", part)
    return facts


def _plain(text: str) -> Fact:
    return Fact(text, None if _MAY_HOLD_SECRETS.match(text) else text)


def _content(version: "Version | None") -> Fact:
    return Fact(version.digest, version.name) if version else Fact("none", "none")


def fingerprint(facts: Facts) -> str:
    """Return one text for all facts, the same for the same facts."""
    values = {name: fact.value for name, fact in facts.items()}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def describe_environment(manager: str) -> str:
    """Name what a step runs in.

    With `local` that is this process's own environment: its Python and packages count. Others are
    made from the step's conda.yml and constraints.txt, which count as its files.
    """
    if manager != "local":
        return manager
    packages = sorted(f"{item.name}=={item.version}" for item in importlib.metadata.distributions())
    text = json.dumps([sys.version, *packages])
    return f"local {hashlib.sha256(text.encode()).hexdigest()}"


def differences(old: Facts, new: Facts) -> list[str]:
    """Say for people what has changed from one set of facts to another."""
    names = [*new, *(name for name in old if name not in new)]
    return [
        _change(name, old.get(name), new.get(name)) for name in names if not _same(name, old, new)
    ]


def shorten(changes: list[str]) -> str:
    """Return what has changed in a line for people: with another table, everything has.

    >>> shorten([f"{name} changed" for name in "abcdefg"])
    'a changed, b changed, c changed, d changed, e changed, and 2 more'
    """
    more = f", and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return ", ".join(changes[:_SHOWN]) + more


def _same(name: str, old: Facts, new: Facts) -> bool:
    return name in old and name in new and old[name].value == new[name].value


def _change(name: str, before: Fact | None, after: Fact | None) -> str:
    """Say what happened to a fact.

    >>> _change("max_depth", Fact("13", "13"), Fact("10", "10"))
    'max_depth 13 -> 10'
    """
    if (before and before.shown is None) or (after and after.shown is None):
        return f"{name} {'is new' if before is None else 'is gone' if after is None else 'changed'}"
    if before and after and before.shown == after.shown:  # such as that of another project
        return f"{name} {after.shown} of other content"
    return f"{name} {before.shown if before else 'unset'} -> {after.shown if after else 'unset'}"
