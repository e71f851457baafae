"""A file larger than the server's memory goes in and comes out again, in parts at once.

`WANDB_SERVER_TEST_FILE_MB=5120 python -m pytest -q tests/server/test_big_file.py` takes one of
5 GB; it needs three times its size on the disk, and some minutes.
"""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from tests.server.conftest import LiveServer, sdk_environment
from tests.warm import WarmPython

MEGABYTE = 1 << 20
# The SDK downloads parts of 100 MB: this makes two.
SIZE = int(os.environ.get("WANDB_SERVER_TEST_FILE_MB", "110"))
# What is in flight, whatever the file's size: the SDK sends 128 parts at once at most.
MEMORY_KILOBYTES = 80_000
SCRIPT = """
import sys, wandb
source, target = sys.argv[1:]
artifact = wandb.Artifact("big", type="dataset")
artifact.add_file(source, name="big.bin", policy="immutable", skip_cache=True)
with wandb.init(project="p") as run:
    run.log_artifact(artifact).wait(timeout=1800)
found = wandb.Api().artifact("p/big:v0")
found.download(root=target, skip_cache=True, multipart=True)
"""


def _write(path: Path, megabytes: int) -> str:
    """Write a file in which no two megabytes are equal, and return its digest."""
    hasher = hashlib.md5(usedforsecurity=False)
    block = os.urandom(MEGABYTE - 8)
    with path.open("wb") as file:
        for number in range(megabytes):
            piece = number.to_bytes(8, "big") + block
            hasher.update(piece)
            file.write(piece)
    return hasher.hexdigest()


def _kilobytes(server: LiveServer, field: str) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_big_file_passes_through_constant_memory(
    mortal: LiveServer, python: WarmPython, tmp_path: Path
) -> None:
    source, home, target = tmp_path / "big.bin", tmp_path / "home", tmp_path / "target"
    digest = _write(source, SIZE)
    assert mortal.request("GET", "/healthz")[0] == 200
    before = _kilobytes(mortal, "VmRSS")
    environment = os.environ | sdk_environment(mortal.base_url, home)
    command = ("-c", SCRIPT, str(source), str(target))
    done = python.run(*command, env=environment, cwd=home, libraries=("wandb",), timeout=3600)
    assert done.returncode == 0, done.stderr
    with (target / "big.bin").open("rb") as file:
        assert hashlib.file_digest(file, "md5").hexdigest() == digest
    assert _kilobytes(mortal, "VmHWM") - before < MEMORY_KILOBYTES
    source.unlink()
    for folder in (target, mortal.folder):
        shutil.rmtree(folder)  # rather than three times its size for the rest of the tests
