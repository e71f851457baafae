"""The fork servers of a pipeline or a sweep: which there are, and what they import ahead."""

import fcntl
import hashlib
import json
import select
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from pipeline import leash
from pipeline.busy import is_busy
from pipeline.compiling import take_compiled
from pipeline.memory import memory_file, write_whole
from pipeline.standby import Turn, ask, start
from pipeline.standby_process import make_temporary

_PAUSE = 0.02  # seconds between two looks


@dataclass
class Standbys:
    """Asks for steps, and lets what they need be imported before their turn.

    Imports happen one after the other, in the order of the steps' turns: more at once would take
    time from the step that is at work. While all cores are busy, none begins before its turn.

    Attributes:
        root: Folder of the components.
        home: Folder of the fork servers' sockets; by default one that nobody else has.
        is_kept: Whether steps have further turns after one, in the trials of a sweep.
    """

    root: Path
    home: Path = field(default_factory=make_temporary)
    is_kept: bool = False
    _ran: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    _entered: list[Path] = field(default_factory=list)  # environments that were new
    _prepared: "dict[str, Future[None]]" = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _reused: set[str] = field(default_factory=set)
    _servers: dict[Path, leash.Group] = field(default_factory=dict)
    # The socket of each step's fork server; None as long as its environment isn't known.
    _needed: dict[str, Path | None] = field(default_factory=dict)
    _starting: Lock = field(default_factory=Lock)
    _preparer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def prepare_as_before(self, names: Collection[str], variables: Mapping[str, str]) -> None:
        """Prepare the steps that ran in the pipeline before this one.

        It is a guess, made before there is time to find out more: these are the likeliest to run
        again.

        Args:
            names: Steps that may run at all.
            variables: Environment variables of the steps.
        """
        for name, (program, activation) in self._recall().items():
            # Without its environment, bash would complain.
            if name in names and all(
                Path(word).exists() for word in _words(activation) if "/" in word
            ):
                self.prepare(program, self.root / name, partial(list, activation), variables)

    def _recall(self) -> dict[str, tuple[str, list[str]]]:
        """Return program and activation of the steps that ran in the pipeline before this one."""
        memory = self._memory()
        found: dict[str, tuple[str, list[str]]] = {}
        if memory.exists():
            found = json.loads(memory.read_text(encoding="utf-8"))
        return found

    def _memory(self) -> Path:
        mark = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return memory_file("ran", f"{mark}.json")

    def prepare(
        self,
        program: str,
        folder: Path,
        enter: Callable[[], Sequence[str]],
        variables: Mapping[str, str],
    ) -> None:
        """Have what a step needs imported soon, unless it was, or the step was reused last time.

        Args:
            program: The step's program.
            folder: The step's folder.
            enter: Returns the shell commands that enter its environment; may take its time.
            variables: Its environment variables.
        """
        if folder.name not in self._prepared and folder.name not in self._reused:
            prepared = self._prepared[folder.name] = Future()
            self._needed.setdefault(folder.name, None)
            self._preparer.submit(self._prepare, prepared, program, folder, enter, variables)

    def _prepare(
        self,
        prepared: "Future[None]",
        program: str,
        folder: Path,
        enter: Callable[[], Sequence[str]],
        variables: Mapping[str, str],
    ) -> None:
        while is_busy() and not prepared.cancelled():
            time.sleep(_PAUSE)
        if not prepared.set_running_or_notify_cancel():
            return
        try:
            with self._ask(program, folder, enter(), variables) as answer:
                while folder.name not in self._begun and not _has_said(answer):
                    pass
        except Exception as error:  # the step's own turn meets it, and tells it
            prepared.set_exception(error)
            return
        prepared.set_result(None)

    def begin(
        self,
        program: str,
        folder: Path,
        activation: Sequence[str],
        arguments: Sequence[str],
        variables: Mapping[str, str],
    ) -> Turn:
        """Begin a step.

        Args:
            program: Its program.
            folder: Its folder.
            activation: Shell commands that enter its environment.
            arguments: Of its program.
            variables: Its environment variables.

        Raises:
            OSError: It can't be started.
        """
        name = folder.name
        self._reused.discard(name)
        self._begun.add(name)
        self._ran[name] = program, list(activation)
        if prepared := self._prepared.get(name):
            prepared.cancel()
        channel = self._ask(program, folder, activation, variables, arguments)
        return Turn(channel, self._servers.get(self._path(activation)), partial(self._end, name))

    def _ask(
        self,
        program: str,
        folder: Path,
        activation: Sequence[str],
        variables: Mapping[str, str],
        arguments: Sequence[str] | None = None,
    ) -> socket.socket:
        """Ask the fork server of an environment, which is started if there is none.

        Without arguments it only imports what the step needs.
        """
        path = self._path(activation)
        request: dict[str, Any] = {"program": program, "folder": str(folder)}
        request["modules"] = str(_modules(folder, activation))
        is_turn = arguments is not None
        if arguments is not None:
            request |= {"arguments": list(arguments), "variables": dict(variables)}
        with self._starting, (self.home / "starting").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # other processes of the sweep may start it as well
            try:
                channel = ask(path, request, is_turn)
            except (FileNotFoundError, ConnectionRefusedError):
                if killed := self._servers.pop(path, None):
                    _close(killed)
                if not Path(request["modules"]).exists():
                    self._take_compiled(activation)
                self._servers[path], channel = start(
                    path, self.root, activation, variables, request, is_turn
                )
            self._needed[folder.name] = path
            self._close_unneeded()
        return channel

    def _take_compiled(self, activation: Sequence[str]) -> None:
        """Spare a new environment to compile what those of earlier steps and runs hold as well."""
        entered = _environments(activation)
        ran = [path for _, before in self._recall().values() for path in _environments(before)]
        for environment in entered:
            take_compiled(environment, [Path(sys.prefix), *self._entered, *ran])
        self._entered += entered

    def _path(self, activation: Sequence[str]) -> Path:
        return self.home / f"{_mark(activation)}.socket"

    def _close_unneeded(self) -> None:
        """End the fork servers that no step needs; if that isn't known of all steps, none."""
        needed = set(self._needed.values())
        if None not in needed and not self.is_kept:
            for path in self._servers.keys() - needed:
                _close(self._servers.pop(path))

    def _let_go(self, name: str) -> None:
        """Note that a step needs no fork server any more; in a sweep, other processes may."""
        if not self.is_kept:
            with self._starting:
                self._needed.pop(name, None)
                self._close_unneeded()

    def _end(self, name: str) -> None:
        self._begun.discard(name)
        self._let_go(name)

    def note_reused(self, name: str) -> None:
        """Import nothing ahead for a step until it runs again."""
        self._reused.add(name)
        if prepared := self._prepared.pop(name, None):
            prepared.cancel()
            self._let_go(name)

    def note_ran(self) -> None:
        """Note for the next pipeline which steps have run, if any."""
        if self._ran:
            write_whole(self._memory(), json.dumps(self._ran))

    def close(self) -> None:
        """End all fork servers that this process has started."""
        for prepared in self._prepared.values():
            prepared.cancel()
        self._preparer.shutdown(wait=False, cancel_futures=True)
        with self._starting:
            while self._servers:
                _close(self._servers.popitem()[1])
        shutil.rmtree(self.home, ignore_errors=True)


def _modules(folder: Path, activation: Sequence[str]) -> Path:
    """Return the file with the modules that a step imports in an environment."""
    return memory_file("imports", f"{folder.name}-{_mark([folder.name, *activation])}.txt")


def _environments(activation: Sequence[str]) -> list[Path]:
    """Return the folders of the environments that shell commands enter by a file of theirs."""
    activate = [word for word in _words(activation) if word.endswith("/bin/activate")]
    return [Path(word).parents[1] for word in activate]


def _words(activation: Sequence[str]) -> list[str]:
    return [word for command in activation for word in shlex.split(command)]


def _mark(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def _has_said(channel: socket.socket) -> bool:
    """Wait a moment; tell whether the other end has said something, or is gone."""
    return bool(select.select([channel], [], [], _PAUSE)[0])


def _close(server: leash.Group) -> None:
    """End a fork server, as soon as no step is at work."""
    server.leader.terminate()
    server.release()
