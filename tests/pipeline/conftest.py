"""A component and an MLflow store of its own for each test."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from pipeline.config import validate
from pipeline.root import ROOT
from pipeline.schema import Config, register_schema
from pipeline.signals import STOP_SIGNALS

CONDA = """name: component
dependencies:
  - python=3.11
  - pip:
      - six==1.17.0
"""
PROJECT = """name: component
conda_env: conda.yml
entry_points:
  main:
    parameters:
      text: {{type: string, default: ""}}
    command: {command}
"""


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store's database: making one takes seconds, so it is made once and copied."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture(autouse=True)
def store(tmp_path: Path, migrated_database: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.copy(migrated_database, tmp_path / "mlflow.db")
    address = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_ENV_ROOT", str(tmp_path / "envs"))
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    # MLflow sets the variable, too, which programs under test would find.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    mlflow.set_tracking_uri(address)
    return address


@pytest.fixture
def component(tmp_path: Path) -> Path:
    folder = tmp_path / "component"
    folder.mkdir()
    (folder / "conda.yml").write_text(CONDA)
    (folder / "MLproject").write_text(PROJECT.format(command="exec python run.py {text}"))
    return folder


@pytest.fixture
def handlers() -> Iterator[None]:
    """No signal is ignored, as SIGHUP is below nohup; afterwards all is as it was."""
    previous = {
        number: signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS
    }
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.fixture
def config() -> Config:
    """The config as it is without overrides."""
    register_schema()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        return validate(compose("config"))
