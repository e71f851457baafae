"""What a step takes and gives: artifacts and parameters, as `mlflow.run` passes them."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.errors import StepError
from pipeline.signals import wait_for

if TYPE_CHECKING:
    from pipeline.registry import FinishedRun, Registry, Version


@dataclass(eq=False)
class Artifact:
    """An artifact that flows from step to step.

    Attributes:
        name: Its name in W&B; None for one that is not made, by the user's choice.
        maker: Step that makes it.
        version: Its exact version, once it was made or looked up.
    """

    name: str | None
    maker: str
    version: "Version | None" = None


@dataclass(frozen=True)
class Made:
    """Marks the parameter that names an artifact which the step makes; None makes none."""

    name: str | None


@dataclass(frozen=True)
class Source:
    """Marks the parameter that names data outside of W&B.

    Attributes:
        url: An http(s) or file URL, or a path.
        sha256: What its content must have, if the user has said so.
    """

    url: str
    sha256: str | None = None


@dataclass(frozen=True)
class Alias:
    """Marks the parameter that names an alias which the step looks at, and may move.

    Attributes:
        name: The alias.
        artifact: Artifact that has it.
    """

    name: str
    artifact: Artifact


# A version that W&B knows, such as the data of the model in production.
Deferred = Callable[["Registry"], "Version | None"]


@dataclass
class Step:
    """One call of a component.

    Attributes:
        name: Its folder.
        parameters: Parameters of its MLproject; values as `encode` takes them.
        outputs: Artifacts it makes, in the order of their parameters.
    """

    name: str
    parameters: dict[str, Any]
    outputs: tuple[Artifact, ...]

    @property
    def inputs(self) -> list[Artifact]:
        """Artifacts that it takes."""
        return [value for value in self.parameters.values() if isinstance(value, Artifact)]

    def look_up(self, ask: Callable[[Deferred], "Future[Version | None]"]) -> None:
        """Begin to ask for the values that W&B knows.

        Args:
            ask: Puts the question; the step waits for the answer when it starts.
        """
        self.parameters = {
            name: ask(value) if callable(value) else value
            for name, value in self.parameters.items()
        }

    def pin_outputs(self, finished: "FinishedRun") -> None:
        """Take note of which versions a run of this step made.

        Raises:
            StepError: It doesn't say so of one of them.
        """
        for artifact in self.outputs:
            if artifact.name and artifact.name not in finished.versions:
                raise StepError(
                    f"The step {self.name!r} ended well but didn't say which version of "
                    f"{artifact.name!r} it made: it must set run.summary['output/{artifact.name}']."
                )
            artifact.version = finished.versions.get(artifact.name or "")

    @property
    def made(self) -> list[str]:
        """Names and versions of what it made."""
        return [artifact.version.name for artifact in self.outputs if artifact.version]


@dataclass
class StepResult:
    """What came out of a step.

    Attributes:
        name: The step's name.
        status: done, reused or skipped.
        seconds: Wall time with the making of its environment, 0 unless it ran.
        versions: Versions of the artifacts that it made.
        summary: Summary of its W&B run, as plain values.
        note: Why it was skipped, or the run that it was reused from; else empty.
        page: Address of the project's page in W&B; empty if the step was skipped.
    """

    name: str
    status: str
    seconds: float = 0.0
    versions: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    page: str = ""


def take_over(step: Step, record: "FinishedRun") -> StepResult:
    """Return the result of a step that is not run again, and pin what its earlier run made."""
    step.pin_outputs(record)
    return StepResult(
        step.name,
        "reused",
        versions=step.made,
        summary=record.summary,
        note=record.run_id,
        page=record.page,
    )


def encode_parameters(step: Step, scratch: Path) -> dict[str, str]:
    """Return the parameters as `mlflow.run` takes them.

    Args:
        step: Its artifacts have versions.
        scratch: Folder for the YAML files that hold structured values.

    Returns:
        Texts by name. None is left out, so that the MLproject's default holds.
    """
    encoded = {name: _encode(name, value, scratch) for name, value in step.parameters.items()}
    return {name: value for name, value in encoded.items() if value is not None}


def _encode(name: str, value: Any, scratch: Path) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case Artifact():
            return value.version.name if value.version else None
        case Made() | Alias():
            return value.name
        case Source():
            return value.url
        case list():
            return ",".join(map(str, value))
        case dict() if not any(map(dataclasses.is_dataclass, value.values())):
            return ",".join(f"{key}={item}" for key, item in value.items())
        case _ if isinstance(value, dict) or dataclasses.is_dataclass(value):
            return str(_write_yaml(scratch / f"{name}.yaml", value))
        case Future():
            found: Version | None = wait_for(value)
            return found.name if found else None
    return str(value)


def _write_yaml(path: Path, value: Any) -> Path:
    path.write_text(yaml.safe_dump(plain(value), sort_keys=False, allow_unicode=True))
    return path


def plain(value: Any) -> Any:
    """Return dataclasses as dicts and enum members as their values, all the way down."""
    if dataclasses.is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
