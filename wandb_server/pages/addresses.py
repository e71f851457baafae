"""Addresses of the pages; they are W&B's own, since the SDK prints them."""

from urllib.parse import quote


def project(entity: str, name: str) -> str:
    """Path of a project's page."""
    return _path(entity, name)


def run(entity: str, project: str, name: str) -> str:
    """Path of a run's page; `name` is the run's id."""
    return _path(entity, project, "runs", name)


def collection(entity: str, project: str, kind: str, name: str) -> str:
    """Path of the page of an artifact's versions."""
    return _path(entity, project, "artifacts", kind, name)


def version(entity: str, project: str, kind: str, name: str, index: int) -> str:
    """Path of the page of one version of an artifact."""
    return f"{collection(entity, project, kind, name)}/v{index}"


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)
