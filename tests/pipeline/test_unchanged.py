"""The short way answers only if nothing has changed; any difference goes the long way."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
import wandb
from mlflow import MlflowClient

from pipeline import unchanged
from pipeline.facts import fingerprint, gather
from pipeline.registry import FinishedRun, Registry, Version
from pipeline.schema import Config
from pipeline.steps import Alias, Artifact, Made, Source, Step
from pipeline.unchanged import Memory, Reuse, recall, remember
from pipeline.wandb_target import WandbTarget
from wandb_server import Server


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one component, whose folder is the current one, as is MLflow's store."""
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / "run.py").write_text("pass")
    (tmp_path / "data.csv").write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(unchanged, "ROOT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(scope="module")
def target(module_server: Server) -> WandbTarget:
    variables = module_server.environment()
    return WandbTarget(module_server.base_url, "for the test", variables, is_local=True)


def declare(url: str = "data.csv", retries: int = 3) -> list[Step]:
    """Return a step as main.py declares it."""
    outputs = (Artifact("raw", "download"),)
    parameters = {
        "url": Source(url),
        "retries": retries,
        "reference": lambda _: None,
        "alias": Alias("prod", outputs[0]),
        "output": Made("raw"),
    }
    return [Step("download", parameters, outputs)]


@pytest.fixture
def api(target: WandbTarget) -> wandb.Api:
    key = target.variables["WANDB_API_KEY"]
    return wandb.Api(overrides={"base_url": target.address, "entity": "local"}, api_key=key)


@pytest.fixture
def record(config: Config, target: WandbTarget, tmp_path: Path) -> FinishedRun:
    """What a run of the step left: a run in MLflow, the same in W&B, and an artifact."""
    client = MlflowClient()
    run_id = client.create_run("0").info.run_id
    client.set_terminated(run_id)
    name = config.main.project_name
    settings = wandb.Settings(
        base_url=target.address, api_key=target.variables["WANDB_API_KEY"], root_dir=str(tmp_path)
    )
    with wandb.init(project=name, entity="local", id=run_id, settings=settings) as run:
        artifact = wandb.Artifact("raw", type="data", metadata={"project": name})
        with artifact.new_file("a") as file:
            file.write(name)
        made = run.log_artifact(artifact, aliases=["prod"]).wait()
    wandb.teardown()
    versions = {"raw": Version(f"raw:{made.version}", made.digest)}
    return FinishedRun(
        run_id, f"{target.address}/local/{name}/runs/{run_id}", {"rows": 1}, versions
    )


@pytest.fixture
def config(config: Config, tmp_path: Path) -> Config:
    """A W&B project of its own for each test."""
    return replace(config, main=replace(config.main, project_name=tmp_path.name))


@pytest.fixture
def remembered(
    project: Path, config: Config, target: WandbTarget, record: FinishedRun
) -> FinishedRun:
    """The step was reused, and what that rested on was written down."""
    registry = Registry(target, config.main.project_name)
    (step,) = steps = declare()
    step.parameters["reference"] = Future()
    step.parameters["reference"].set_result(None)
    facts = gather(
        step, project / "download", "uv", lambda alias: registry.find_version(f"raw:{alias.name}")
    )
    assert facts
    reuse = Reuse(fingerprint(facts), {"reference": None}, record)
    remember(steps, Memory("uv", registry.answers, {}, [reuse]), config, target)
    return record


def test_if_nothing_has_changed_the_run_to_reuse_is_known(
    remembered: FinishedRun, config: Config, target: WandbTarget
) -> None:
    steps = declare()

    assert recall(steps, config, target) == [remembered]
    assert steps[0].outputs[0].version is None
    assert callable(steps[0].parameters["reference"])


def change_the_code(project: Path, _: FinishedRun) -> None:
    (project / "download" / "run.py").write_text("...")


def change_the_source(project: Path, _: FinishedRun) -> None:
    (project / "data.csv").write_text("a\n2\n")


def delete_the_run(_: Path, record: FinishedRun) -> None:
    MlflowClient().delete_run(record.run_id)


def delete_the_store(project: Path, _: FinishedRun) -> None:
    (project / "mlflow.db").unlink()


def damage_the_store(project: Path, _: FinishedRun) -> None:
    (project / "mlflow.db").write_text("no database")


def damage_the_memory(project: Path, _: FinishedRun) -> None:
    (file,) = (project / "cache").rglob("*.json")
    file.write_text("{}")


def forget(project: Path, _: FinishedRun) -> None:
    shutil.rmtree(project / "cache")


CHANGES: list[Callable[[Path, FinishedRun], None]] = [
    change_the_code,
    change_the_source,
    delete_the_run,
    delete_the_store,
    damage_the_store,
    damage_the_memory,
    forget,
]


def test_if_something_has_changed_here_the_long_way_decides(
    project: Path,
    remembered: FinishedRun,
    config: Config,
    target: WandbTarget,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    saved = tmp_path_factory.mktemp("saved")
    shutil.copytree(project, saved, dirs_exist_ok=True)
    for change in CHANGES:
        change(project, remembered)
        assert recall(declare(), config, target) is None, change.__name__
        shutil.copytree(saved, project, dirs_exist_ok=True)
        assert recall(declare(), config, target) == [remembered]


def test_if_something_has_changed_in_wandb_the_long_way_decides(
    remembered: FinishedRun, config: Config, target: WandbTarget, api: wandb.Api
) -> None:
    name = config.main.project_name
    artifact = api.artifact(f"local/{name}/raw:v0")
    artifact.aliases.remove("prod")
    artifact.save()
    assert recall(declare(), config, target) is None
    artifact.aliases.append("prod")
    artifact.save()
    assert recall(declare(), config, target) == [remembered]

    artifact.delete(delete_aliases=True)
    assert recall(declare(), config, target) is None


def test_a_run_that_is_gone_from_wandb_is_not_reused(
    remembered: FinishedRun, config: Config, target: WandbTarget, api: wandb.Api
) -> None:
    api.run(f"local/{config.main.project_name}/{remembered.run_id}").delete()

    assert recall(declare(), config, target) is None


@pytest.mark.usefixtures("remembered")
def test_another_pipeline_goes_the_long_way(
    config: Config, target: WandbTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = config.main
    for other in (
        replace(main, cache=False),
        replace(main, force_steps=["download"]),
        replace(main, dry_run=True),
        replace(main, project_name="another"),
    ):
        assert recall(declare(), replace(config, main=other), target) is None
    assert recall(declare(retries=4), config, target) is None
    assert recall(declare(), config, replace(target, is_local=False)) is None
    for name, value in (
        ("MLFLOW_RUN_ID", "0123"),
        ("WANDB_SWEEP_ID", "0123"),
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert recall(declare(), config, target) is None, os.environ[name]
    assert recall(declare(), config, target) is not None


def test_answers_about_other_projects_are_not_remembered(
    project: Path, config: Config, target: WandbTarget, record: FinishedRun
) -> None:
    memory = Memory("uv", {"me/other/raw:v0": None}, {}, [Reuse("", {}, record)])

    remember(declare(), memory, config, target)

    assert not (project / "cache").exists()
