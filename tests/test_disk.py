"""A disk that is full or read-only, as the person sees it who runs the pipeline."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import wandb
from numpy.random import default_rng

from wandb_server import Server, ensure_running, service

ROOT = Path(__file__).resolve().parents[1]
# A mount that only these commands see; needs the right to make namespaces.
OWN_MOUNTS = ["unshare", "--map-root-user", "--mount", "--", "bash", "-ec"]
COMMAND = shlex.join(
    [
        sys.executable,
        str(ROOT / "main.py"),
        "main.env_manager=local",
        "main.execute_steps=download",
        "dataset.url=table.parquet",
    ]
)
PREPROCESS = shlex.join(
    [
        sys.executable,
        str(ROOT / "preprocess" / "run.py"),
        "--input_artifact=raw_data.parquet:latest",
        "--output_artifact=clean.parquet",
        "--target=x",
    ]
)
STOP = f"{shlex.quote(sys.executable)} -m wandb_server stop"


@pytest.fixture
def sdk(tmp_path: Path) -> dict[str, str]:
    """Variables of the commands: this Python first, this repository's packages."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": search, "PYTHONPATH": str(ROOT), "WANDB_DIR": str(tmp_path)}


def connect(server: Server) -> wandb.Api:
    return wandb.Api(overrides={"base_url": server.base_url}, api_key=server.api_key)


@pytest.fixture
def production(server: Server, tmp_path: Path, sdk: dict[str, str]) -> Path:
    """A stopped server's data folder: one version of the raw data, tagged prod."""
    program = """
import wandb
with wandb.init(project="songs") as run:
    artifact = wandb.Artifact("raw_data.parquet", type="raw_data")
    with artifact.new_file("table.parquet") as file:
        file.write("old")
    run.log_artifact(artifact, aliases=["prod"]).wait()
"""
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=sdk | server.environment(), check=True
    )
    service.stop()
    return server.data_dir


def versions(api: wandb.Api) -> dict[str, list[str]]:
    found = api.artifacts("raw_data", "songs/raw_data.parquet")
    return {artifact.version: sorted(artifact.aliases) for artifact in found}


def run(script: str, folder: Path, variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    probe = subprocess.run(
        ["bash", "-c", shlex.join([*OWN_MOUNTS, "true"])],
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip(f"mounts can't be made here: {probe.stderr}")
    return subprocess.run(
        [*OWN_MOUNTS, script],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.exhaustive
def test_a_full_disk_is_named_leaves_production_alone_and_room_mends_it(
    production: Path, tmp_path: Path, sdk: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"x": default_rng(0).random(400_000)}).to_parquet(tmp_path / "table.parquet")
    disk, after = tmp_path / "disk", tmp_path / "after"
    disk.mkdir()
    command = COMMAND.replace("table.parquet", str(tmp_path / "table.parquet"))
    # The table needs 3.4 MB.
    script = f"""
mount -t tmpfs -o size=2m,mode=700 none {disk}
cp -a {shlex.quote(str(production))}/. {disk}
trap '{STOP}' EXIT
if {command} >told 2>&1; then exit 99; fi
cp -a {disk} {after}
mount -o remount,size=20m {disk}
{command}
mkdir temporary
mount -t tmpfs -o size=2m none temporary
eval "$({shlex.quote(sys.executable)} -m wandb_server env)"
if TMPDIR=$PWD/temporary {PREPROCESS} >passed_on 2>&1; then exit 98; fi
"""

    variables = sdk | {"WANDB_SERVER_DIR": str(disk), "WANDB_PROJECT": "songs"}
    result = run(script, tmp_path, variables)

    told = (tmp_path / "told").read_text()
    assert result.returncode == 0, result.stdout + result.stderr + told
    assert f"can't use the data folder {disk}: No space left on device" in told
    assert "download: artifact 'raw_data.parquet' can't be stored: " in told
    assert "The step 'download' failed (exit code 1)" in told
    assert "Traceback" not in told
    passed_on = (tmp_path / "passed_on").read_text()
    assert "preprocess: the disk is full: [Errno 28] No space left on device" in passed_on
    assert "Traceback" not in passed_on
    assert "made raw_data.parquet:v1" in result.stdout
    monkeypatch.setenv("WANDB_SERVER_DIR", str(after))
    server = ensure_running()
    assert versions(connect(server)) == {"v0": ["latest", "prod"]}
    (failed,) = connect(server).runs("local/songs", {"jobType": "download"})
    assert failed.state == "failed"
    service.stop()


def test_a_read_only_data_folder_is_told_before_the_first_step(
    tmp_path: Path, sdk: dict[str, str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"mount -t tmpfs -o ro none {disk}\n{COMMAND}"

    for folder in (disk, disk / "below"):
        result = run(script, tmp_path, sdk | {"WANDB_SERVER_DIR": str(folder)})

        assert result.returncode == 1
        assert f"can't use the data folder {folder}: Read-only file system" in result.stderr
        assert "set the variable WANDB_SERVER_DIR to a folder that you can write" in result.stderr
        assert "Traceback" not in result.stderr
        assert "[1/1]" not in result.stdout
