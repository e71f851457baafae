"""The short way to see that nothing has changed, without importing mlflow or wandb.

A pipeline that reused each of its steps writes down what that rested on: the facts of the steps,
and what W&B answered. The next one like it compares. If all is as it was, its answer is the same,
and there is nothing to record either. At any difference the long way decides: see `pipeline.cache`.

The short way is for `python main.py`, with the local W&B server and MLflow's store in a file here.
Under `mlflow run`, in a sweep, or with other servers there is a run to be filled in any case.
"""

import copy
import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pipeline.agent_run import TRIAL_VARIABLES
from pipeline.facts import describe_environment, fingerprint, gather
from pipeline.memory import memory_file, write_whole
from pipeline.registry import FinishedRun, Version
from pipeline.root import ROOT
from pipeline.schema import Config
from pipeline.steps import Alias, Step
from pipeline.trials import is_trial
from pipeline.wandb_target import WandbTarget
from wandb_server import loopback

# A run that was opened by somebody else waits to be filled.
_OPENED = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", *TRIAL_VARIABLES)
_STORE = "sqlite:///mlflow.db"  # MLflow's default
_VERSION = "{ digest state versionIndex artifactSequence { name } }"

Versions = dict[str, Version | None]


@dataclass(frozen=True)
class Reuse:
    """One step that was reused.

    Attributes:
        fingerprint: That of its facts.
        given: Values of its parameters that W&B knows.
        record: The run that it was reused from.
    """

    fingerprint: str
    given: Versions
    record: FinishedRun


@dataclass(frozen=True)
class Memory:
    """What a pipeline that reused each of its steps rested on.

    Attributes:
        manager: Who makes the steps' environments.
        answers: What W&B said of the names that it was asked for.
        inputs: Versions made by steps that were not to run, by the artifact's name.
        reuses: The steps, in their order.
    """

    manager: str
    answers: Versions
    inputs: Versions
    reuses: list[Reuse]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it from a file.

        Raises:
            OSError: There is none.
            ValueError: It can't be read.
            KeyError: It lacks something.
            TypeError: It is of another kind.
        """
        fields = json.loads(path.read_text())
        reuses = [
            Reuse(
                reuse["fingerprint"],
                _versions(reuse["given"]),
                FinishedRun(
                    **reuse["record"] | {"versions": _versions(reuse["record"]["versions"])}
                ),
            )
            for reuse in fields["reuses"]
        ]
        answers, inputs = _versions(fields["answers"]), _versions(fields["inputs"])
        return cls(fields["manager"], answers, inputs, reuses)

    def write(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        write_whole(path, json.dumps(asdict(self)))


def _versions(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value and Version(**value) for name, value in fields.items()}


def remember(steps: Sequence[Step], memory: Memory, config: Config, target: WandbTarget) -> None:
    """Keep what a pipeline rested on that reused each of its steps.

    Args:
        steps: Those steps.
        memory: What it rested on.
        config: The pipeline's.
        target: The W&B that answered.
    """
    path = _file(steps, config, target)
    # What another project holds is asked for by the long way.
    if path and not any("/" in name for name in memory.answers):
        memory.write(path)


def recall(steps: Sequence[Step], config: Config, target: WandbTarget) -> list[FinishedRun] | None:
    """Return the runs that each step is to be reused from, if nothing has changed.

    Args:
        steps: The steps that are to run, as they were declared; they are left as they are.
        config: The pipeline's.
        target: The W&B that answers.

    Returns:
        One for each step; None if something has changed, or can't be known this way.
    """
    path = _file(steps, config, target)
    if path is None:
        return None
    try:
        memory = Memory.read(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is none, or one of another release
    records = [reuse.record for reuse in memory.reuses]
    is_same = (
        _rest_on_the_same(copy.deepcopy(steps), memory)
        and _are_in_mlflow(records)
        and _are_in_wandb(records, memory.answers, config.main.project_name, target)
    )
    return records if is_same else None


def _file(steps: Sequence[Step], config: Config, target: WandbTarget) -> Path | None:
    """Return where such a pipeline's memory lies; None if the short way isn't for it."""
    main, store = config.main, _store()
    is_asked_for = main.cache and not (main.force_steps or main.dry_run or main.versions)
    if not is_asked_for or is_trial() or store is None or not target.is_local:
        return None
    if any(name in os.environ for name in _OPENED):
        return None
    marks = [str(ROOT), str(store), target.address, main.project_name, main.env_manager]
    text = json.dumps([*marks, *(step.name for step in steps)])
    return memory_file("unchanged", f"{hashlib.sha256(text.encode()).hexdigest()}.json")


def _store() -> Path | None:
    """Return the file of MLflow's store; None if it is elsewhere, or not there yet."""
    address = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", _STORE))
    path = Path(address.path.removeprefix("/")).absolute()
    return path if address.scheme == "sqlite" and path.is_file() else None


def _rest_on_the_same(steps: Sequence[Step], memory: Memory) -> bool:
    """Compare the facts of the steps; the steps are changed."""
    environment = describe_environment(memory.manager)

    def holder(alias: Alias) -> Version | None:
        return memory.answers.get(f"{alias.artifact.name}:{alias.name}")

    for step, reuse in zip(steps, memory.reuses, strict=True):
        for artifact in step.inputs:
            artifact.version = artifact.version or memory.inputs.get(artifact.name or "")
        for name, version in reuse.given.items():
            step.parameters[name] = Future()
            step.parameters[name].set_result(version)
        facts = gather(step, ROOT / step.name, environment, holder)
        if facts is None or fingerprint(facts) != reuse.fingerprint:
            return False
        step.pin_outputs(reuse.record)
    return True


def _are_in_mlflow(records: Sequence[FinishedRun]) -> bool:
    """Look into MLflow's tables: have the runs ended well, and has nobody deleted them?"""
    store, ids = _store(), {record.run_id for record in records}
    if store is None:
        return False
    query = (
        "SELECT COUNT(*) FROM runs WHERE status = 'FINISHED' AND lifecycle_stage = 'active' "
        "AND run_uuid IN (SELECT value FROM json_each(?))"
    )
    try:
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
            (count,) = connection.execute(query, [json.dumps(list(ids))]).fetchone()
    except sqlite3.Error:
        return False  # it is at work, or another release's: MLflow itself is to look
    return bool(count == len(ids))


def _are_in_wandb(
    records: Sequence[FinishedRun], answers: Versions, project: str, target: WandbTarget
) -> bool:
    """Ask the local server whether it has the runs, and still gives the same answers."""
    names, ids = list(answers), [record.run_id for record in records]
    asked = [
        f"a{at}: artifact(name: {json.dumps(name)}) {_VERSION}" for at, name in enumerate(names)
    ]
    asked += [f"r{at}: run(name: {json.dumps(id_)}) {{ name }}" for at, id_ in enumerate(ids)]
    query = f"query ($project: String!) {{ project(name: $project) {{ {' '.join(asked)} }} }}"
    fields = {"query": query, "variables": {"project": project}}
    key = target.variables["WANDB_API_KEY"]
    try:
        answer = loopback.ask(target.address, key, "/graphql", fields)
    except (OSError, ValueError):
        return False  # the SDK will tell what is wrong
    found = (answer.get("data") or {}).get("project")
    if found is None:
        return False
    now = {name: _read(found[f"a{at}"]) for at, name in enumerate(names)}
    return now == answers and all(found[f"r{at}"] for at in range(len(ids)))


def _read(fields: dict[str, Any] | None) -> Version | None:
    if fields is None or fields["state"] != "COMMITTED":
        return None
    return Version(
        f"{fields['artifactSequence']['name']}:v{fields['versionIndex']}", fields["digest"]
    )
