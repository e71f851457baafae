"""What the pipeline asks W&B: versions of artifacts, where they came from, what a run wrote."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import ArtifactError, WandbError
from pipeline.wandb_target import WandbTarget

if TYPE_CHECKING:
    import wandb

OUTPUT = "output/"


@dataclass(frozen=True)
class FinishedRun:
    """A step's W&B run.

    Attributes:
        url: Its page.
        summary: Its summary as plain values.
        versions: name:vN of each artifact that it made.
    """

    url: str
    summary: dict[str, Any]
    versions: dict[str, str]


class Registry:
    """Reads one W&B project."""

    def __init__(self, target: WandbTarget, project: str) -> None:
        """Connect; takes about a second, most of it the import of wandb.

        Raises:
            WandbError: W&B doesn't answer, or there is no key, or it refuses the key.
        """
        import wandb

        self._project = project
        try:
            self._api = wandb.Api(
                overrides={"base_url": target.address},
                api_key=target.variables.get("WANDB_API_KEY"),
            )
            self._entity = target.variables.get("WANDB_ENTITY") or self._api.default_entity
        except wandb.errors.Error as error:
            raise WandbError(
                f"{target.address} ({target.reason}) can't be used: {error} Check WANDB_BASE_URL "
                "and the key, or set main.wandb=local, which needs neither."
            ) from error

    @property
    def _path(self) -> str:
        return f"{self._entity}/{self._project}"

    def find_version(self, name: str) -> str | None:
        """Return name:vN that `name` (name or name:alias) stands for now; None if there is none."""
        full = name if ":" in name else f"{name}:latest"
        if not self._api.artifact_exists(f"{self._path}/{full}"):
            return None
        return _version(self._api.artifact(f"{self._path}/{full}"))

    def require_version(self, name: str, maker: str, needed_by: str) -> str:
        """Return name:vN that `name` stands for now.

        Raises:
            ArtifactError: There is no such artifact.
        """
        version = self.find_version(name)
        if version is None:
            raise ArtifactError(
                f"{needed_by} needs the artifact {name!r}, which doesn't exist in the project "
                f"{self._path!r}. Add {maker!r}, which makes it, to main.execute_steps."
            )
        return version

    def find_ancestor(self, name: str, ancestor: str) -> str | None:
        """Return the version of the artifact `ancestor` that `name` was made from.

        Args:
            name: name:alias of an artifact.
            ancestor: Name, without version, of one upstream of it.

        Returns:
            name:vN, or None if there is no such artifact or nothing of that name upstream.
        """
        if not self._api.artifact_exists(f"{self._path}/{name}"):
            return None
        artifacts = [self._api.artifact(f"{self._path}/{name}")]
        seen: set[str] = set()
        while artifacts:
            artifact = artifacts.pop()
            if _version(artifact).rpartition(":")[0] == ancestor:
                return _version(artifact)
            run = artifact.logged_by() if artifact.id not in seen else None
            seen.add(artifact.id)
            artifacts += list(run.used_artifacts()) if run else []
        return None

    def read_run(self, run_id: str) -> FinishedRun:
        """Return what a step's run wrote."""
        run = self._api.run(f"{self._path}/{run_id}")
        summary = {
            key: value
            for key, value in run.summary_metrics.items()
            if isinstance(value, str | int | float | bool | None) and not key.startswith("_")
        }
        versions = {
            key.removeprefix(OUTPUT): f"{key.removeprefix(OUTPUT)}:{value}"
            for key, value in summary.items()
            if key.startswith(OUTPUT)
        }
        return FinishedRun(run.url, summary, versions)


def _version(artifact: "wandb.Artifact") -> str:
    return f"{artifact.collection.name}:{artifact.version}"
