"""What the steps begin with: the source as it was, or a recorded artifact."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.reproduce.history import Project
from pipeline.source import TIMEOUT

_CHUNK = 1 << 20
_SHOWN = 12  # digits of a digest that people compare


@dataclass(frozen=True)
class Source:
    """Where the raw data can be had as they were.

    Attributes:
        url: URL or absolute path; None if nowhere.
        said: What was found there, for people.
    """

    url: str | None
    said: str


def find_source(url: str, sha256: str | None, folders: list[Path]) -> Source:
    """Look whether a data source still has the content that it had.

    Args:
        url: What the config names: an http(s) or file URL, or a path.
        sha256: Digest of the content then, in hexadecimal.
        folders: Where a relative path may start.
    """
    if sha256 is None:
        return Source(None, f"it isn't recorded which SHA-256 {url} had")
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        candidates = [url]
    elif parts.scheme == "file":
        candidates = [url2pathname(parts.path)]
    else:
        candidates = list(dict.fromkeys(str(f / Path(url).expanduser()) for f in folders))
    reasons = []
    for candidate in candidates:
        try:
            digest = _digest_of(candidate)
        except OSError as error:  # what requests raises is one as well
            reasons.append(f"{url} can't be read: {error.strerror or error}")
            continue
        if digest == sha256:
            return Source(candidate, f"{url}, whose SHA-256 is still {sha256[:_SHOWN]}...")
        reasons.append(
            f"{url} has changed: SHA-256 {digest[:_SHOWN]}... now, {sha256[:_SHOWN]}... then"
        )
    return Source(None, "; ".join(dict.fromkeys(reasons)))


def _digest_of(source: str) -> str:
    if not source.startswith(("http://", "https://")):
        with Path(source).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    import requests  # takes a tenth of a second

    digest = hashlib.sha256()
    with requests.get(source, stream=True, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hand_over(original: Project, name: str, again: Project) -> str:
    """Log an artifact of the original project in the one apart, as it is.

    Args:
        original: Where it is.
        name: name:vN, or entity/project/name:vN for one of another project.
        again: The project apart, on the local server.

    Returns:
        Its name:vN there.
    """
    import wandb

    source = original.artifact(name)
    settings = wandb.Settings(
        base_url=again.target.address,
        api_key=again.target.variables["WANDB_API_KEY"],
        entity=again.target.variables["WANDB_ENTITY"],
        console="off",
        silent=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        source.download(root=f"{folder}/files")
        copy = wandb.Artifact(
            source.collection.name, type=source.type, metadata=dict(source.metadata)
        )
        copy.add_dir(f"{folder}/files", policy="immutable")
        with wandb.init(project=again.name, settings=settings, dir=folder) as run:
            version = run.log_artifact(copy).wait().version
    return f"{source.collection.name}:{version}"
