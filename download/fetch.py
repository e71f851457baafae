"""Fetches one file, from a web server or this machine, in constant memory."""

import hashlib
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm
from urllib3.exceptions import MaxRetryError
from urllib3.util.retry import Retry

# Small, so that the bar moves on a slow line as well.
CHUNK_BYTES = 1 << 16
LONGEST_PAUSE = 60
SECONDS_BETWEEN_LINES = 10
# What a server says when it may do better in a moment.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
PASSING_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.HTTPError,
    requests.exceptions.ChunkedEncodingError,
)

logger = logging.getLogger(__name__)


class DownloadError(Exception):
    """The file can't be had, or it isn't a table."""


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched completely.

    Attributes:
        path: Where it lies now.
        source: Where it came from, without user, password, query and fragment.
        size: Bytes.
        sha256: Checksum, in lower-case hexadecimal.
        content_type: What the server called it; None for a local file.
        etag: The server's mark of this content, if it gave one.
        last_modified: The server's date of this content, if it gave one.
    """

    path: Path
    source: str
    size: int
    sha256: str
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None


def fetch(url: str, target: Path, timeout: float, retries: int) -> Fetched:
    """Copy what `url` names to the file `target`.

    Args:
        url: http(s) or file:// URL, or an absolute path.
        target: File to write; one that exists is replaced.
        timeout: Seconds without a byte after which an attempt is given up.
        retries: Attempts after the first one.

    Raises:
        DownloadError: It can't be read completely, or it is empty.
    """
    path = local_path(url)
    fetched = (
        _fetch_web(url, target, timeout, retries) if path is None else _fetch_local(path, target)
    )
    if fetched.size == 0:
        raise DownloadError(
            f"{fetched.source} is empty: 0 bytes. Mend the source, or give another `url`."
        )
    return fetched


def local_path(url: str) -> Path | None:
    """Return the file that a file:// URL or a path names, None for a web address.

    Raises:
        DownloadError: The URL is of another kind, or the path is relative.
    """
    if "://" not in url and not url.startswith("file:"):
        path = Path(url)
    else:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname:
            return None
        if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
            raise DownloadError(
                f"url {public_form(url)!r} can't be fetched: give an http(s) or file:// URL "
                "of this machine, or an absolute path."
            )
        path = Path(url2pathname(parts.path))
    if not path.is_absolute():
        raise DownloadError(
            f"url {url!r} is a relative path, and steps run in a folder of their own: "
            "give an absolute path, or an http(s) or file:// URL."
        )
    return path


def public_form(url: str) -> str:
    """Return the URL without user, password, query and fragment, which may hold secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _fetch_local(path: Path, target: Path) -> Fetched:
    try:
        with path.open("rb") as file:
            chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
            size, sha256 = _save(chunks, path.stat().st_size, target)
    except OSError as error:
        raise DownloadError(
            f"{path} can't be copied: {error.strerror}. Give a file that can be read as `url`."
        ) from error
    return Fetched(target, path.as_uri(), size, sha256)


def _fetch_web(url: str, target: Path, timeout: float, retries: int) -> Fetched:
    policy = Retry(
        total=retries,
        backoff_factor=1,
        backoff_max=LONGEST_PAUSE,
        retry_after_max=LONGEST_PAUSE,
        respect_retry_after_header=True,
    )
    while True:
        try:
            return _attempt(url, target, timeout)
        except PASSING_ERRORS as error:
            policy = _wait_for_next_attempt(policy, error, url)
        except requests.RequestException as error:
            problem = _problem(error).replace(url, public_form(url))
            raise DownloadError(f"{public_form(url)} can't be fetched: {problem}.") from error
        except OSError as error:
            raise DownloadError(f"{target} can't be written: {error.strerror}.") from error


def _attempt(url: str, target: Path, timeout: float) -> Fetched:
    # A table is stored as it is sent: compressing it for the way would hide its length.
    headers = {"Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        plain = "Content-Encoding" not in response.headers
        total = int(length) if plain and length.isdecimal() else None
        # urllib3 counts: a body shorter than its Content-Length is an error, not an end.
        size, sha256 = _save(response.iter_content(CHUNK_BYTES), total, target)
        return Fetched(
            target,
            public_form(url),
            size,
            sha256,
            content_type=response.headers.get("Content-Type"),
            etag=response.headers.get("ETag"),
            last_modified=response.headers.get("Last-Modified"),
        )


def _wait_for_next_attempt(policy: Retry, error: requests.RequestException, url: str) -> Retry:
    """Pause, and return the policy with one attempt less; raise if another is no use."""
    source, problem = public_form(url), _problem(error)
    response = error.response
    if isinstance(error, requests.HTTPError) and error.response.status_code not in PASSING_STATUSES:
        raise DownloadError(
            f"{source} can't be fetched: {problem}. Check `url`, and that it asks for no login."
        ) from error
    try:
        policy = policy.increment("GET", source, error=error)
    except MaxRetryError:
        attempts = len(policy.history) + 1
        raise DownloadError(
            f"{source} can't be fetched: {problem} (attempt {attempts} of {attempts}). Check `url`,"
            " or try again later; a higher `timeout` and more `retries` wait longer."
        ) from error
    attempt = len(policy.history) + 1
    of_all = f"{attempt} of {attempt + int(policy.total or 0)}"
    logger.info("%s: %s; trying again (attempt %s)", source, problem, of_all)
    policy.sleep(response.raw if response is not None else None)
    return policy


def _problem(error: requests.RequestException) -> str:
    """Say what went wrong, from the root: outer messages repeat the URL with its secrets."""
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the file was cut short on its way"
    root: BaseException = error
    while inner := root.__cause__ or root.__context__:
        root = inner
    if isinstance(root, TimeoutError):
        return "not a byte came within `timeout`"
    if isinstance(root, OSError) and root.strerror:
        return f"the connection failed: {root.strerror}"
    if isinstance(root, requests.TooManyRedirects):
        return "the server leads from one address to another without end"
    return f"{type(root).__name__}: {root}"


def _save(chunks: Iterable[bytes], total: int | None, target: Path) -> tuple[int, str]:
    """Write the chunks to `target`; return their size and sha256."""
    sha256, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        for chunk in _with_progress(chunks, total):
            file.write(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return size, sha256.hexdigest()


def _with_progress(chunks: Iterable[bytes], total: int | None) -> Iterator[bytes]:
    """Pass the chunks on, with a bar on a terminal and a line now and then elsewhere."""
    on_terminal = sys.stderr.isatty()
    done, last_line = 0, time.monotonic()
    with tqdm(
        total=total, unit="B", unit_scale=True, desc="Downloading", disable=not on_terminal
    ) as bar:
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            bar.update(len(chunk))
            if not on_terminal and time.monotonic() - last_line >= SECONDS_BETWEEN_LINES:
                of = f" of {total / 1e6:,.0f}" if total else ""
                logger.info("Downloaded %s%s MB", f"{done / 1e6:,.0f}", of)
                last_line = time.monotonic()
