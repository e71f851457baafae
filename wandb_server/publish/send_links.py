"""Lineage and collections at the target: who used and logged what, and what collections say."""

from collections.abc import Mapping

from wandb_server.publish.plan import TargetVersion
from wandb_server.publish.source import Link, SourceVersion
from wandb_server.publish.target import Target
from wandb_server.server_error import ServerError


def send_link(target: Target, link: Link, versions: Mapping[int, TargetVersion]) -> bool:
    """Record at the target that a run used a version, or logged one that was there already.

    Args:
        target: Where to.
        link: Which run, and which version.
        versions: Versions of the target by rows of the source.

    Returns:
        False when it was recorded before.

    Raises:
        ServerError: The target lacks the version.
    """
    twin = versions.get(link.artifact_id)
    if twin is None and link.foreign is not None:
        project = link.foreign.project
        raise ServerError(
            f"{target.entity}/{project.name} there has no such version: publish "
            f"{project.entity}/{project.name} under this name as well, then this project again"
        )
    if twin is None:
        raise ServerError("this version isn't published")
    run = target.run(link.run)
    known = run.used_artifacts() if link.used else run.logged_artifacts()
    if twin.id in {artifact.id for artifact in known}:
        return False
    artifact = target.api.artifact(twin.path)
    if link.used:
        run.use_artifact(artifact, use_as=link.used_as)
    else:
        run.log_artifact(artifact)
    return True


def send_collection(target: Target, version: SourceVersion, tags: list[str]) -> bool:
    """Give the collection of a version the description and tags that it has here.

    Returns:
        False when it had them.
    """
    collection = version.collection
    remote = target.api.artifact_collection(version.type, f"{target.path}/{collection.name}")
    lacking = [tag for tag in tags if tag not in remote.tags]
    if not lacking and (remote.description or "") == (collection.description or ""):
        return False
    remote.description = collection.description
    remote.tags = [*remote.tags, *lacking]
    remote.save()
    return True
