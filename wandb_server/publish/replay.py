"""Compares a project with its copy at the target, and sends what the copy lacks."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from wandb_server.errors import ClientError, StorageError
from wandb_server.publish.plan import (
    ALIVE,
    Session,
    TargetRun,
    TargetVersion,
    differences,
    foreign,
    plan_sessions,
    unsendable,
)
from wandb_server.publish.references import Translator
from wandb_server.publish.report import Report
from wandb_server.publish.send_links import send_collection, send_link
from wandb_server.publish.send_run import (
    ORPHANS,
    correct_summary,
    missing_files,
    opened_run,
    send_files,
    send_run,
)
from wandb_server.publish.send_version import send_version, set_labels
from wandb_server.publish.source import Source, SourceRun, SourceVersion
from wandb_server.publish.target import Target
from wandb_server.server_error import ServerError
from wandb_server.upkeep.store import Store

# A hosted server may show what it took a little later.
_SECONDS_TO_SETTLE = 10.0


class Replay:
    """One publication; `report` grows while it goes on."""

    def __init__(
        self,
        sdk: ModuleType,
        store: Store,
        source: Source,
        target: Target,
        scratch: Path,
        report: Report,
    ) -> None:
        """Look at the target, without sending anything.

        Args:
            sdk: The package wandb, pointed to the target.
            store: The data folder.
            source: The project.
            target: Where to.
            scratch: Folder for what the SDK writes.
            report: Where to say what becomes of each thing.
        """
        self.report = report
        self._sdk = sdk
        self._store = store
        self._source = source
        self._target = target
        self._scratch = scratch
        # One thing's fault must not keep the others from arriving; it is reported by name.
        self._faults = (sdk.Error, ValueError, OSError, ServerError, ClientError, StorageError)
        self._translate = Translator(source.clients)
        self._runs = {run.row.name: run for run in source.runs}
        self._series: defaultdict[int, list[SourceVersion]] = defaultdict(list)
        for version in source.versions:
            self._series[version.collection.id].append(version)
        self._held: dict[str, TargetRun] = {}
        self._versions: dict[int, TargetVersion] = {}
        self._failed: set[int] = set()
        self._look()
        self._look_elsewhere()
        self._sendable = [run for run in source.runs if self._may_send(run)]

    def plan(self) -> list[Session]:
        """Put what is missing into order; what is there, or can't be sent, is reported."""
        allowed = {run.row.name for run in self._sendable} | {None}
        missing = []
        for version in self._source.versions:
            twin = self._versions.get(version.artifact.id)
            if twin is not None:
                self.report.there("version", version.name, f"as {twin.name}")
            elif version.run not in allowed:
                self._fail(version, f"its run {version.run} can't be sent")
            elif later := self._later_twin(version):
                self._fail(version, f"it would come after {later}, out of order")
            else:
                missing.append(version)
        wanted = {run.row.name for run in self._sendable if self._lacks(run)}
        for run in self._sendable:
            if run.row.name not in wanted and not self._files(run):
                if lost := unsendable(run):
                    self.report.failed("run", run.row.name, ", ".join(lost))
                else:
                    self.report.there("run", run.row.name, "complete")
        return plan_sessions(self._sendable, missing, wanted)

    def preview(self, sessions: list[Session]) -> None:
        """Report what `send` would send, but for lineage and labels of versions."""
        for session in sessions:
            for version in session.versions:
                self.report.sent("version", version.name, f"{version.artifact.size} bytes")
        opened = {session.run for session in sessions}
        for run in self._sendable:
            words = self._words(run)
            if run.row.name in opened or words:
                self.report.sent("run", run.row.name, ", ".join(words))

    def send(self, sessions: list[Session]) -> None:
        """Send runs with their artifacts, then files, lineage, and aliases at the end."""
        broken: dict[str | None, str] = {}
        for session in sessions:
            if session.run in broken:
                self._give_up(session.versions, broken[session.run])
                continue
            try:
                self._send_session(session)
            except self._faults as error:
                broken[session.run] = str(error)
                self._give_up(session.versions, str(error))
        opened = {session.run for session in sessions}
        for run in self._sendable:
            name = run.row.name
            if name in broken:
                self.report.failed("run", name, broken[name])
            elif name in opened or self._files(run):
                with self._reporting("run", name):
                    self._complete_run(run)
        self._finish()

    def _look(self) -> None:
        if not self._target.exists():
            return
        for name in self._target.run_ids() & self._runs.keys():
            self._held[name] = self._target.describe_run(name)
        types = {item.collection.name: item.type for item in self._source.versions}
        found = self._target.versions(types)
        for version in self._source.versions:
            twin = found.get(version.collection.name, {}).get(version.artifact.digest)
            if twin is not None:
                self._know(version.artifact.id, twin)

    def _look_elsewhere(self) -> None:
        """Find what runs used of other projects, in the target's projects of the same names."""
        foreign = {link.artifact_id: link.foreign for link in self._source.links if link.foreign}
        types: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for used in foreign.values():
            types[used.project.name][used.collection] = used.type
        found = {name: self._target.versions(types[name], name) for name in types}
        for row, used in foreign.items():
            twin = found[used.project.name].get(used.collection, {}).get(used.digest)
            if twin is not None:
                self._know(row, twin)

    def _know(self, row: int, twin: TargetVersion) -> None:
        """Remember what the target calls the version that has this row here."""
        self._versions[row] = twin
        self._translate.known[row] = twin.id

    def _may_send(self, run: SourceRun) -> bool:
        held = self._held.get(run.row.name)
        if run.row.current_state() in ALIVE:
            self.report.failed("run", run.row.name, "it still runs: publish it when it has ended")
        elif held is not None and (reason := foreign(run, held)):
            self.report.failed("run", run.row.name, reason)
        else:
            return True
        return False

    def _lacks(self, run: SourceRun) -> list[str]:
        """Say what has to be sent while the run is open."""
        held = self._held.get(run.row.name)
        if held is None:
            return [f"history to step {run.last_step}", f"{run.console_lines} console lines"]
        return list(differences(run, held, self._translate).values())

    def _files(self, run: SourceRun) -> list[str]:
        return missing_files(run, self._held.get(run.row.name))

    def _words(self, run: SourceRun) -> list[str]:
        files = self._files(run)
        return self._lacks(run) + ([f"{len(files)} files"] if files else [])

    def _later_twin(self, version: SourceVersion) -> str | None:
        """Find a version of the same collection, made later here, that the target has."""
        series = self._series[version.collection.id]
        for other in series[series.index(version) + 1 :]:
            if other.artifact.id in self._versions:
                return self._versions[other.artifact.id].name
        return None

    def _send_session(self, session: Session) -> None:
        run = None if session.run is None else self._runs[session.run]
        with opened_run(self._sdk, self._target, run, self._scratch) as active:
            for version in session.versions:
                self._send_version(active, version)
            if run is not None and session.is_last:
                held = self._held.get(run.row.name)
                send_run(active, self._store, run, held, self._translate)

    def _send_version(self, active: Any, version: SourceVersion) -> None:
        """Send a version unless one before it failed: it would get that one's place."""
        for other in self._series[version.collection.id]:
            if other is version:
                break
            if other.artifact.id not in self._versions:
                self._fail(version, f"{other.name}, which comes before it, isn't there")
                return
        try:
            twin = send_version(self._sdk, active, self._store.blobs, version, self._translate)
        except self._faults as error:
            self._fail(version, str(error))
            return
        self._know(version.artifact.id, twin)
        stand_in = "" if version.run else f", logged by {ORPHANS}: its own run is gone"
        self.report.sent("version", version.name, f"as {twin.name}{stand_in}")

    def _give_up(self, versions: list[SourceVersion], reason: str) -> None:
        for version in versions:
            if version.artifact.id not in self._versions:
                self._fail(version, f"its run wasn't sent: {reason}")

    def _fail(self, version: SourceVersion, reason: str) -> None:
        """Report a version as missing, for the first reason only."""
        if version.artifact.id not in self._failed:
            self._failed.add(version.artifact.id)
            self.report.failed("version", version.name, reason)

    def _complete_run(self, run: SourceRun) -> None:
        """Upload a run's files, then compare all of it once more."""
        words = self._words(run)
        held = self._target.describe_run(run.row.name)
        correct_summary(self._target, run, held, self._translate)
        send_files(self._target, self._store.blobs, run, missing_files(run, held), self._scratch)
        remaining = self._settle(run) + unsendable(run)
        if remaining:
            self.report.failed("run", run.row.name, ", ".join(remaining))
        else:
            self.report.sent("run", run.row.name, ", ".join(words) or "for its versions")

    def _settle(self, run: SourceRun) -> list[str]:
        """Say what the target still lacks of a run, once it has had time."""
        deadline = time.monotonic() + _SECONDS_TO_SETTLE
        while True:
            held = self._target.describe_run(run.row.name)
            remaining = list(differences(run, held, self._translate).values())
            remaining += [f"file {name}" for name in missing_files(run, held)]
            if not remaining or time.monotonic() > deadline:
                return remaining
            time.sleep(1)

    def _finish(self) -> None:
        """Send what can be said only when runs and versions are there; aliases last."""
        for link in self._source.links:
            name = f"{link.run} {'used' if link.used else 'logged'} {link.name}"
            with self._reporting("lineage", name):
                if send_link(self._target, link, self._versions):
                    self.report.sent("lineage", name, "")
        for id_, series in self._series.items():
            if not any(version.artifact.id in self._versions for version in series):
                continue
            version = series[0]
            with self._reporting("collection", version.collection.name):
                if send_collection(self._target, version, self._source.collection_tags[id_]):
                    self.report.sent("collection", version.collection.name, "description, tags")
        for version in self._source.versions:
            twin = self._versions.get(version.artifact.id)
            if twin is not None:
                with self._reporting("labels", version.name):
                    remote = self._target.api.artifact(twin.path)
                    changed = set_labels(remote, version)
                    if changed:
                        self.report.sent("labels", version.name, ", ".join(changed))

    @contextmanager
    def _reporting(self, kind: str, name: str) -> Iterator[None]:
        """Report a fault of one thing, and go on."""
        try:
            yield
        except self._faults as error:
            self.report.failed(kind, name, str(error))
