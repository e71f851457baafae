"""Old versions of artifacts that nobody refers to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.errors import ArtifactError
from pipeline.registry import Registry
from pipeline.upkeep.removal import Removal

if TYPE_CHECKING:
    from wandb import Artifact
    from wandb.apis.public import ArtifactType


class OldVersions(Registry):
    """Finds versions of one W&B project that can go."""

    def find(self, keep: int) -> Iterator[Removal]:
        """Find old versions that have no alias, and that none with an alias was made from.

        Args:
            keep: How many of the newest ones without an alias stay, of each artifact.

        Raises:
            ArtifactError: There is no such project.
        """
        aliased: list[Artifact] = []
        old: list[Artifact] = []
        for kind in self._kinds():
            for collection in kind.collections():
                versions = sorted(collection.artifacts(), key=_number, reverse=True)
                aliased += [version for version in versions if version.aliases]
                old += [version for version in versions if not version.aliases][keep:]
        needed = find_ancestors(aliased) if old else set()
        for version in sorted(old, key=lambda item: (item.collection.name, _number(item))):
            if version.id not in needed:
                name = f"{version.collection.name}:{version.version}"
                yield Removal(
                    "versions", name, version.size, version.delete, is_late=self._is_local
                )

    def _kinds(self) -> "list[ArtifactType]":
        try:
            return list(self._api.artifact_types(self._path))
        except ValueError as error:  # the SDK expected a project
            raise ArtifactError(
                f"There is no project {self._path!r}: name another one by "
                "main.project_name=<project>."
            ) from error


def find_ancestors(versions: "list[Artifact]") -> set[str | None]:
    """Return the ids of versions and of all that they were made from."""
    waiting, found = list(versions), set()
    while waiting:
        version = waiting.pop()
        if version.id not in found:
            found.add(version.id)
            run = version.logged_by()
            waiting += list(run.used_artifacts()) if run else []
    return found


def _number(version: "Artifact") -> int:
    return int(version.version.removeprefix("v"))
