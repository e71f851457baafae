"""A blob is there whole or not at all."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wandb_server.blobs import BlobStore, DigestMismatchError, base64_digest, hex_digest
from wandb_server.errors import ClientError, StorageError


async def _chunks(*parts: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if then is not None:
        raise then


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_body_is_stored_under_its_digest(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    digest, size = asyncio.run(blobs.receive(_chunks(b"ab", b"", b"c" * 3_000_000), None))
    assert digest == _md5(b"ab" + b"c" * 3_000_000)
    assert size == blobs.size(digest) == 3_000_002
    assert blobs.read(digest)[:3] == b"abc"


def test_a_body_with_another_digest_is_not_stored(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    announced = _md5(b"right")
    with pytest.raises(DigestMismatchError, match=announced):
        asyncio.run(blobs.receive(_chunks(b"wrong"), announced))
    assert blobs.size(announced) is blobs.size(_md5(b"wrong")) is None
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_large_body_is_stored_in_its_order(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    content = random.Random(0).randbytes(9_000_000)
    pieces = (content[start : start + 400_000] for start in range(0, len(content), 400_000))
    digest, size = asyncio.run(blobs.receive(_chunks(*pieces), _md5(content)))
    assert (digest, size) == (_md5(content), len(content))
    assert blobs.path(digest).read_bytes() == content


@pytest.mark.parametrize("sent", [[b"half"], [b"x" * 1_500_000] * 3], ids=["small", "large"])
def test_a_body_that_breaks_off_is_not_stored(tmp_path: Path, sent: list[bytes]) -> None:
    blobs = BlobStore(tmp_path)
    with pytest.raises(ConnectionError):
        asyncio.run(blobs.receive(_chunks(*sent, then=ConnectionError()), None))
    assert list((tmp_path / "incoming").iterdir()) == []


def test_what_a_killed_server_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    digest = BlobStore(tmp_path).write(b"kept")
    (tmp_path / "incoming" / "tmpabc").write_bytes(b"half")
    blobs = BlobStore(tmp_path)
    blobs.clear_incoming()
    assert list((tmp_path / "incoming").iterdir()) == []
    assert blobs.read(digest) == b"kept"


def test_a_missing_blob_is_named(tmp_path: Path) -> None:
    digest = _md5(b"gone")
    with pytest.raises(StorageError, match=digest):
        BlobStore(tmp_path).read(digest)


@pytest.mark.parametrize("digest", ["", "..", "../../etc", "A" * 32, "0" * 31, "0" * 33])
def test_only_digests_become_paths(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ClientError, match="MD5"):
        BlobStore(tmp_path).path(digest)


def test_digests_turn_from_base64_to_hex_and_back() -> None:
    digest = _md5(b"x")
    assert hex_digest(base64_digest(digest)) == digest
    for text in ("", "abc", "QUJD", "ä" * 24):
        with pytest.raises(ClientError, match="base64"):
            hex_digest(text)
