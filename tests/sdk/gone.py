"""A plugin of pytest that lets the SDK's tests of one release load with a later release.

A file of tests that imports a single name which the later release no longer has can't be loaded,
with the dozens of tests that never use it. So each such name gets a placeholder: a test that uses
it fails, and says why. What the SDK still has stays as it is; nothing of the SDK reads these.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import NoReturn

_MODULES = (
    "wandb.apis.internal",
    "wandb.filesync",
    "wandb.filesync.dir_watcher",
    "wandb.sdk.artifacts.artifact_saver",
    "wandb.sdk.internal.file_pusher",
    "wandb.sdk.internal.file_stream",
    "wandb.sdk.internal.internal_api",
    "wandb.sdk.internal.sender",
    "wandb.sdk.internal.tb_watcher",
)
_NAMES = (("wandb.apis", "InternalApi"), ("wandb.cli.cli", "_api"))


class Gone:
    """Stands for a name that may be imported and compared, but not used."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __repr__(self) -> str:
        return f"{self.__name__}, which this release of wandb doesn't have"

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise AttributeError(f"called {self!r}")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"asked for {name!r} of {self!r}")


class GoneModule(ModuleType):
    """Stands for a module: whatever is imported from it is a placeholder."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []  # there may be placeholders inside

    def __getattr__(self, name: str) -> Gone:
        if name.startswith("__"):
            raise AttributeError(name)
        return Gone(f"{self.__name__}.{name}")


def pytest_sessionstart() -> None:
    """Put a placeholder wherever the installed release lacks a name."""
    for name in _MODULES:
        if importlib.util.find_spec(name) is None:
            parent, _, last = name.rpartition(".")
            sys.modules[name] = GoneModule(name)
            setattr(importlib.import_module(parent), last, sys.modules[name])
    for parent, name in _NAMES:
        module = importlib.import_module(parent)
        if not hasattr(module, name):
            setattr(module, name, Gone(f"{parent}.{name}"))
