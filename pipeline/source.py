"""What tells one state of a data source from another, without fetching it."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

TIMEOUT = 10.0  # seconds for a server to say what it has; it is asked for no data


def identify(url: str) -> str | None:
    """Return a text that changes when the content behind a URL or path does.

    Args:
        url: An http(s) or file URL, or a path.

    Returns:
        A file's SHA-256; of a server, its ETag, Last-Modified and size. None if the server says
        neither of the first two, or the source can't be had: whoever fetches it says why.
    """
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return _ask_server(url)
    return _digest(Path(url2pathname(parts.path) if parts.scheme == "file" else url))


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return None


def _ask_server(url: str) -> str | None:
    import requests  # takes a tenth of a second

    try:
        answer = requests.head(
            url, allow_redirects=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
        )
    except requests.RequestException:
        return None
    names = ("ETag", "Last-Modified", "Content-Length")
    said = {name: answer.headers[name] for name in names if name in answer.headers}
    if not answer.ok or not {"ETag", "Last-Modified"} & said.keys():
        return None
    return ", ".join(f"{name} {value}" for name, value in said.items())
