"""A component and an MLflow store of its own for each test."""

import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

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
    mlflow.set_tracking_uri(address)
    return address


@pytest.fixture
def component(tmp_path: Path) -> Path:
    folder = tmp_path / "component"
    folder.mkdir()
    (folder / "conda.yml").write_text(CONDA)
    (folder / "MLproject").write_text(PROJECT.format(command="exec python run.py {text}"))
    return folder
