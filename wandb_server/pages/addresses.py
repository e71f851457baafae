"""Addresses of the pages; they are W&B's own where the SDK prints them."""

from urllib.parse import quote, urlencode


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


def sweep(entity: str, project: str, name: str) -> str:
    """Path of a sweep's page; `name` is the sweep's id."""
    return _path(entity, project, "sweeps", name)


def file(page: str, name: str) -> str:
    """Path of the preview of a file of the run or version that `page` shows."""
    return f"{page}/files/{quote(name)}"


def frame(page: str, name: str) -> str:
    """Path of a web page of the run or version that `page` shows, as it may run its scripts."""
    return f"{page}/frames/{quote(name)}"


def with_query(path: str, pairs: list[tuple[str, str]]) -> str:
    """Add what stands behind the question mark; without pairs, nothing."""
    return f"{path}?{urlencode(pairs, errors='replace')}" if pairs else path


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)
