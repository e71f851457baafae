"""A second person's clone, without a network; then versions from their URL, and bad input."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import wandb

from pipeline.config import STEPS
from tests.end_to_end.commands import made, metrics, open_store, run
from tests.end_to_end.conftest import Main, Newcomer, read_digests
from wandb_server import Server

# Only loopback is up in here; needs the right to make network namespaces.
NO_NETWORK = ["unshare", "--net", "--map-root-user", "--", "bash", "-c"]


@pytest.fixture(scope="module")
def no_network(clone: Path) -> "subprocess.CompletedProcess[str]":
    """Whether commands can be cut off here."""
    return run(["bash", "-c", shlex.join([*NO_NETWORK, "ip link set lo up"])], clone)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that nothing has run in."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def second(
    newcomer: Newcomer,
    clone: Path,
    elsewhere: Path,
    no_network: "subprocess.CompletedProcess[str]",
) -> "subprocess.CompletedProcess[str]":
    """The newcomer's commit by its URL, on an empty server; where it can be, without a network."""
    commit = run(["git", "rev-parse", "HEAD"], clone).stdout.strip()
    words = ["mlflow", "run", "-v", commit, "--env-manager", "uv", newcomer.release]
    stop = shlex.join([sys.executable, "-m", "wandb_server", "stop"])
    command = f"{shlex.join(words)} && cd {shlex.quote(str(clone))} && {stop}"
    shell = ["bash", "-c", command]
    if no_network.returncode == 0:
        shell = [*NO_NETWORK, f"ip link set lo up && {command}"]
    return run(shell, elsewhere, UV_OFFLINE="1")


def test_a_run_needs_no_network_once_its_environments_exist(
    second: "subprocess.CompletedProcess[str]", no_network: "subprocess.CompletedProcess[str]"
) -> None:
    if no_network.returncode:
        pytest.skip(f"network namespaces can't be made here: {no_network.stderr}")

    assert second.returncode == 0, second.stdout + second.stderr
    assert (Path(os.environ["WANDB_SERVER_DIR"]) / "wandb.sqlite3").exists()


def test_the_same_config_gives_the_same_digests_and_metrics(
    second: "subprocess.CompletedProcess[str]", newcomer: Newcomer, elsewhere: Path, api: wandb.Api
) -> None:
    assert second.returncode == 0, second.stdout + second.stderr
    assert read_digests(api, made(second.stdout)) == newcomer.digests
    assert metrics(elsewhere) == newcomer.metrics


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize(
    ("overrides", "steps", "reasons"),
    [
        (
            ["main.force_steps=[check_data]", "random_forest_pipeline.random_forest.max_depth=3"],
            ["check_data", "train_random_forest", "evaluate"],
            [
                "check_data would run: main.force_steps names it",
                "train_random_forest would run: model_config.random_forest.max_depth 13 -> 3",
            ],
        ),
        (
            ["main.project_name=elsewhere"],
            list(STEPS),
            ["download would run: it has not run in this project before"],
        ),
    ],
    ids=["changed", "elsewhere"],
)
def test_a_dry_run_says_what_would_run_and_why_and_does_nothing(
    overrides: list[str],
    steps: list[str],
    reasons: list[str],
    main: Main,
    clone: Path,
    elsewhere: Path,
) -> None:
    client, experiments = open_store(elsewhere)
    # Who shares a store reuses what others ran, such as the same commit from its URL.
    shared = f"sqlite:///{elsewhere}/mlflow.db"
    before = {found.info.run_id for found in client.search_runs(experiments)}

    result = main(clone, "main.dry_run=true", *overrides, MLFLOW_TRACKING_URI=shared)

    assert result.returncode == 0, result.stdout + result.stderr
    assert re.findall(r"\] (\w+) would run", result.stdout) == steps
    assert [reason for reason in reasons if reason not in result.stdout] == []
    assert result.stderr == ""
    assert {found.info.run_id for found in client.search_runs(experiments)} == before


@pytest.mark.usefixtures("second")
def test_a_clone_finds_the_artifacts_of_what_ran_from_a_url(main: Main, clone: Path) -> None:
    result = main(clone, "main.execute_steps=preprocess")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "takes raw_data.parquet:v0" in result.stdout
    assert made(result.stdout) == ["preprocessed_data.parquet:v0"]


@pytest.mark.usefixtures("second")
@pytest.mark.exhaustive
@pytest.mark.parametrize("version", ["v1.0.0", "main"])
def test_a_tag_or_a_branch_runs_from_its_url_and_finds_the_history(
    version: str, newcomer: Newcomer, elsewhere: Path
) -> None:
    command = ["mlflow", "run", "-v", version, "--env-manager", "uv", newcomer.release]
    options = "hydra_options=main.execute_steps=preprocess main.dry_run=true"

    result = run([*command, "-P", options], elsewhere)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "preprocess would be reused from" in result.stdout


@pytest.mark.usefixtures("second")
def test_a_step_runs_from_the_repository_s_url(
    newcomer: Newcomer, elsewhere: Path, server: Server
) -> None:
    parameters = {
        "input_artifact": "raw_data.parquet:v0",
        "target": "genre",
        "output_artifact": "preprocessed_data.parquet",
    }
    words = [f"-P{name}={value}" for name, value in parameters.items()]

    result = run(
        ["mlflow", "run", "--env-manager", "uv", f"{newcomer.release}#preprocess", *words],
        elsewhere,
        WANDB_BASE_URL=server.base_url,
        WANDB_API_KEY=server.api_key,
        WANDB_PROJECT="songs",
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "Dropped 80 duplicate rows" in result.stderr


@pytest.mark.usefixtures("second")
def test_nothing_is_exported_when_asked(main: Main, clone: Path) -> None:
    result = main(
        clone,
        "main.execute_steps=[train_random_forest,evaluate]",
        "random_forest_pipeline.export_artifact=null",
        "random_forest_pipeline.random_forest.n_estimators=5",
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "train_random_forest exported nothing" in result.stdout
    assert made(result.stdout) == []


BAD_INPUT: list[tuple[list[str], dict[str, str], str]] = [
    (["main.execute_steps=[preproces]"], {}, "there is no step 'preproces'. Did you mean"),
    (["main.experimentname=x"], {}, "Did you mean 'experiment_name'"),
    (
        ["main.execute_steps=evaluate", "main.project_name=new"],
        {},
        "which makes it, to main.execute_steps",
    ),
    (["main.versions=[model_export:v0]"], {}, "model_export:v0 can't be taken: no step of this"),
    ([], {"WANDB_MODE": "offline"}, "WANDB_MODE=offline"),
    (["main.wandb=online"], {}, "wandb login"),
    (["main.env_manager=conda"], {}, "needs the program 'conda'"),
    (["main.env_manager=uv"], {"PATH": "/nowhere"}, "'uv', which is not on the PATH. To get it:"),
    (
        ["check_data.reference_artifact=clean:v7", "main.execute_steps=check_data"],
        {},
        "check_data.reference_artifact=clean:v7: there is no such artifact in the project",
    ),
    (["dataset.url=/nowhere/table.csv"], {}, "/nowhere/table.csv can't be copied"),
    (
        [
            "dataset.target=mood",
            "+dataset.columns.mood={type: string}",
            "main.execute_steps=preprocess",
        ],
        {},
        "target='mood' is no column of the table. Did you mean 'mode'?",
    ),
]


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize(
    ("overrides", "variables", "message"), BAD_INPUT, ids=lambda value: str(value)[:40]
)
def test_bad_input_is_told_and_leaves_production_alone(
    overrides: list[str],
    variables: dict[str, str],
    message: str,
    main: Main,
    clone: Path,
    api: wandb.Api,
) -> None:
    result = main(clone, *overrides, **variables)

    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert api.artifact("songs/model_export:prod").version == "v0"


@pytest.mark.usefixtures("second")
def test_a_check_that_failed_names_all_faults_and_is_never_reused(main: Main, clone: Path) -> None:
    overrides = [
        "dataset.columns.genre.allowed=[trap, dnb]",
        "+dataset.columns.mood={type: float}",
        "main.execute_steps=check_data",
    ]

    result = main(clone, *overrides)
    again = main(clone, *overrides, "main.dry_run=true")

    assert result.returncode == 1
    assert "allowed [genre]: " in result.stderr
    assert "present [mood]: the column is missing; there are: danceability," in result.stderr
    assert "Traceback" not in result.stderr
    assert "check_data would run" in again.stdout
