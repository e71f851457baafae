"""What the pipeline asks W&B: versions of artifacts, where they came from, what a run wrote."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import ArtifactError, WandbError
from pipeline.promotions import PROMOTIONS
from pipeline.wandb_target import WandbTarget

if TYPE_CHECKING:
    import wandb

OUTPUT = "output/"
REUSED = "reused"  # tag of a W&B run whose artifacts a later pipeline took over


@dataclass(frozen=True)
class Version:
    """One version of an artifact.

    Attributes:
        name: name:vN.
        digest: Digest of its content: the same for equal content.
    """

    name: str
    digest: str


@dataclass(frozen=True)
class FinishedRun:
    """A step's W&B run.

    Attributes:
        run_id: Its id, and that of the step's MLflow run.
        url: Its page.
        summary: Its summary as plain values.
        versions: What it made, by the artifact's name; what is gone since is missing here.
    """

    run_id: str
    url: str
    summary: dict[str, Any]
    versions: dict[str, Version]

    @property
    def page(self) -> str:
        """Address of the project's page."""
        return self.url.split("/runs/")[0]


class Registry:
    """Reads one W&B project."""

    def __init__(self, target: WandbTarget, project: str) -> None:
        """Connect; takes about a second, most of it the import of wandb.

        Raises:
            WandbError: W&B doesn't answer, or there is no key, or it refuses the key.
        """
        import wandb

        self._project, self._is_local = project, target.is_local
        self._username = (os.environ | target.variables).get("WANDB_USERNAME")
        # What was asked for by name, and what it stood for.
        self.answers: dict[str, Version | None] = {}
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

    def find_version(self, name: str) -> Version | None:
        """Return what a name stands for now; None if there is no such artifact.

        Args:
            name: name or name:alias, or, in another project, entity/project/name:alias.
        """
        full = name if ":" in name else f"{name}:latest"
        artifact = self._find(full)
        if artifact is None:
            return None
        if "/" in name:
            return Version(artifact.qualified_name, artifact.digest)
        return _version(artifact)

    def _find(self, name: str) -> "wandb.Artifact | None":
        path = name if "/" in name else f"{self._path}/{name}"
        artifact = self._api.artifact(path) if self._api.artifact_exists(path) else None
        self.answers[name] = artifact and _version(artifact)
        return artifact

    def require_version(self, name: str, maker: str, needed_by: str) -> Version:
        """Return what `name` (name or name:alias) stands for now.

        Raises:
            ArtifactError: There is no such artifact.
        """
        version = self.find_version(name)
        if version is None:
            other = ", or name another version in main.versions" if ":" in name else ""
            raise ArtifactError(
                f"{needed_by} needs the artifact {name!r}, which doesn't exist in the project "
                f"{self._path!r}. Add {maker!r}, which makes it, to main.execute_steps{other}."
            )
        return version

    def require_reference(self, name: str) -> Version:
        """Return the version that check_data is to compare with.

        Raises:
            ArtifactError: There is no such artifact.
        """
        version = self.find_version(name)
        if version is None:
            raise ArtifactError(
                f"check_data.reference_artifact={name}: there is no such artifact in the project "
                f"{self._path!r}. Give name:version, or null for the data of the model in "
                "production."
            )
        return version

    @property
    def user(self) -> str:
        """Name of who acts: see find_user in evaluate, which notes promotions."""
        return self._username or str(self._api.viewer.username)

    def list_metadata(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """Return name:vN and metadata of each version of an artifact.

        Raises:
            ArtifactError: There is no such artifact.
        """
        newest = self._find(f"{name}:latest")
        if newest is None:
            raise ArtifactError(
                f"There is no artifact {name!r} in the project {self._path!r}: name another "
                "project by main.project_name=<project>, or run the pipeline first."
            )
        versions = self._api.artifacts(newest.type, f"{self._path}/{name}")
        return [(_version(version).name, version.metadata) for version in versions]

    def swap_aliases(
        self,
        name: str,
        alias: str,
        other: str,
        describe: Callable[[Version], dict[str, Any]],
    ) -> tuple[Version, Version]:
        """Swap two aliases of an artifact, and record it in the metadata of who gets the first.

        Args:
            name: The artifact.
            alias: The one that matters: it never is without a holder.
            other: The other one.
            describe: Makes the record, of the version that loses the first.

        Returns:
            Who holds the first one now, and who the second.

        Raises:
            ArtifactError: One of them has no holder, or both have the same.
        """
        holders = {mark: self.find_version(f"{name}:{mark}") for mark in (alias, other)}
        now, then = holders[alias], holders[other]
        if now is None or then is None or now == then:
            said = ", ".join(
                f"{version.name if version else 'no version'} holds {mark}"
                for mark, version in holders.items()
            )
            raise ArtifactError(
                f"There is nothing to go back to: of {self._path}/{name}, {said}. A version that "
                f"loses {alias} by a promotion gets {other}."
            )
        for mark, version in ((alias, then), (other, now)):
            artifact = self._api.artifact(f"{self._path}/{version.name}")
            artifact.aliases.append(mark)
            if mark == alias:
                records = artifact.metadata.get(PROMOTIONS, [])
                artifact.metadata[PROMOTIONS] = [*records, describe(now)]
            artifact.save()
        return then, now

    def find_ancestor(self, name: str, ancestor: str) -> Version | None:
        """Return the version of the artifact `ancestor` that `name` was made from.

        Args:
            name: name:alias of an artifact.
            ancestor: Name, without version, of one upstream of it.

        Returns:
            The version; None if there is no such artifact or nothing of that name upstream.
        """
        first = self._find(name)
        artifacts = [first] if first else []
        seen: set[str | None] = set()
        while artifacts:
            artifact = artifacts.pop()
            if artifact.collection.name == ancestor:
                return _version(artifact)
            run = artifact.logged_by() if artifact.id not in seen else None
            seen.add(artifact.id)
            artifacts += list(run.used_artifacts()) if run else []
        return None

    def find_complete_run(self, run_id: str, outputs: list[str]) -> FinishedRun | None:
        """Return what a step's run wrote; None if the run or one of its artifacts is gone.

        Args:
            run_id: The run.
            outputs: Names of the artifacts that it made.
        """
        from wandb.apis.public.runs import RunNotFoundError
        from wandb.errors import CommError

        try:
            found = self.read_run(run_id)
        except CommError as error:
            if isinstance(error.exc, RunNotFoundError):
                return None
            raise
        return found if set(outputs) <= found.versions.keys() else None

    def read_run(self, run_id: str) -> FinishedRun:
        """Return what a step's run wrote."""
        run = self._api.run(f"{self._path}/{run_id}")
        summary = {
            key: value
            for key, value in run.summary_metrics.items()
            if isinstance(value, str | int | float | bool | None) and not key.startswith("_")
        }
        outputs = {
            key.removeprefix(OUTPUT): value
            for key, value in summary.items()
            if key.startswith(OUTPUT)
        }
        found = {name: self.find_version(f"{name}:{value}") for name, value in outputs.items()}
        versions = {name: version for name, version in found.items() if version is not None}
        return FinishedRun(run_id, run.url, summary, versions)

    def mark_reused(self, run_id: str) -> None:
        """Tag a run whose artifacts another pipeline takes over."""
        run: Any = self._api.run(
            f"{self._path}/{run_id}"
        )  # its `tags` are known to no type checker
        if REUSED not in run.tags:
            run.tags = [*run.tags, REUSED]
            run.update()


def _version(artifact: "wandb.Artifact") -> Version:
    return Version(f"{artifact.collection.name}:{artifact.version}", artifact.digest)
