"""A pipeline run can be read back from MLflow: its code, and its config to the last bit."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import record
from pipeline.compose import compose_config
from pipeline.git import Code
from pipeline.root import ROOT
from pipeline.steps import plain

DIRTY = Code("c0ffee", "inner/", "https://example.com/a.git", dirty=True, patch=b"\xff\0 changes")


@pytest.mark.parametrize("code", [Code("c0ffee"), DIRTY, Code(trouble="no repository\nat all")])
def test_a_record_is_read_as_it_was_kept(
    code: Code, store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(record, "read_code", lambda _: code)
    client = MlflowClient(store)
    run = client.create_run("0")
    config = compose_config(["random_forest_pipeline.random_forest.ccp_alpha=1e-17"])

    record.keep_record(run.info.run_id, config, "virtualenv", ROOT, None)

    found = record.load_record(client, client.get_run(run.info.run_id))
    assert found
    expected = plain(config)
    expected["main"]["env_manager"] = "virtualenv"
    assert (found.run_id, found.code, found.config) == (run.info.run_id, code, expected)
    assert found.machine.startswith("Python 3.")


def test_a_run_without_a_record_has_none(store: str) -> None:
    client = MlflowClient(store)

    assert record.load_record(client, client.create_run("0")) is None
