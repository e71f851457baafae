"""The whole pipeline, as a person runs it: real environments, real MLflow, real W&B server."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import wandb
from mlflow import MlflowClient
from playwright.sync_api import expect

from pipeline.config import STEPS
from tests.browsing import open_browser, visit
from wandb_server import Server, ensure_running, service

ROOT = Path(__file__).resolve().parents[1]
# Only loopback is up in here; needs the right to make network namespaces.
NO_NETWORK = ["unshare", "--net", "--map-root-user", "--", "bash", "-c"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of the files as they are now, committed as version v1.0.0."""
    folder = tmp_path_factory.mktemp("release") / "project"
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\n"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        [*identity, "commit", "--quiet", "-m", "Release"],
        [*identity, "tag", "v1.0.0"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def release(clone: Path) -> str:
    """The URL of the clone's repository as others see it.

    The folder is called release.git, but mlflow 3.17 runs an existing folder in place, whatever
    its URL; git finds the folder under the shorter name as well.
    """
    bare = clone.parent / "release.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(clone), str(bare)], check=True)
    return f"file://{bare.with_suffix('')}"


@pytest.fixture(scope="module")
def server() -> Server:
    return ensure_running()


@pytest.fixture(scope="module")
def api(server: Server) -> wandb.Api:
    return wandb.Api(
        overrides={"base_url": server.base_url, "entity": "local"}, api_key=server.api_key
    )


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what its own use of wandb left in it."""
    return {name: os.environ[name] for name in os.environ if name != "WANDB_SERVICE"} | variables


def run(command: list[str], folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def main(folder: Path, *overrides: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return run([sys.executable, "main.py", *overrides], folder, **variables)


def made(output: str) -> list[str]:
    """Return the versions that the summary names, in the order of the steps."""
    table = output[output.rindex("step  ") :]
    return re.findall(r"[\w.]+:v\d+", table[: table.index("\n\n")])


def steps_and_scores(output: str) -> str:
    """Return the summary without the address, whose token is new each time."""
    return output[output.index("[1/6]") : output.index("See it at")]


def metrics(folder: Path) -> dict[str, float]:
    """Return the metrics of the newest run of all steps in the folder's MLflow store."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    whole = "tags.mlflow.runName = 'development' and metrics.`test/accuracy` >= 0"
    return dict(client.search_runs(experiments, whole)[0].data.metrics)


def readme_commands() -> list[str]:
    """Return the commands of the README's blocks, without comments, in their order."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    groups = [group for block in blocks for group in block.strip().split("\n\n")]
    return ["\n".join(line for line in g.split("\n") if line[0] != "#") for g in groups]


FIRST, TESTS, *NEXT = readme_commands()


@pytest.fixture(scope="module")
def first_run(clone: Path) -> "subprocess.CompletedProcess[str]":
    """The README's first command, as printed, in a fresh clone and an empty home."""
    return run(["bash", "-c", FIRST], clone)


def test_one_command_ends_with_a_model_in_production(
    first_run: "subprocess.CompletedProcess[str]", api: wandb.Api
) -> None:
    assert first_run.returncode == 0, first_run.stdout + first_run.stderr
    assert made(first_run.stdout) == [
        "raw_data.parquet:v0",
        "preprocessed_data.parquet:v0",
        "check_report:v0",
        "train_data.parquet:v0",
        "test_data.parquet:v0",
        "model_export:v0",
        "model_card:v0",
    ]
    assert "roc_auc_ovo" in first_run.stdout
    assert "model_export:v0 is now tagged prod" in first_run.stdout
    assert re.search(r"See it at http://127\.0\.0\.1:\d+/signin\?token=", first_run.stdout)
    assert api.artifact("songs/model_export:prod").version == "v0"


def test_ci_runs_the_readme_s_test_command() -> None:
    assert "mlflow run tests" in TESTS
    assert "grep --max-count=1 'mlflow run tests' README.md" in (ROOT / ".ci/run").read_text()


def test_without_a_terminal_the_output_is_plain_lines(
    first_run: "subprocess.CompletedProcess[str]",
) -> None:
    # What stands before comes from pip, uv and MLflow.
    steps = first_run.stderr[first_run.stderr.index("Downloaded 4,080 rows") :]
    assert not re.search(r"[\x1b\r\x07\x08]", first_run.stdout + steps)


@pytest.mark.usefixtures("first_run")
def test_lineage_leads_from_the_model_to_the_raw_data(
    api: wandb.Api, clone: Path, tmp_path: Path
) -> None:
    upstream = ["train_data.parquet:v0", "preprocessed_data.parquet:v0", "raw_data.parquet:v0"]
    artifact = api.artifact("songs/model_export:prod")
    for name in upstream:
        (artifact,) = [a for a in artifact.logged_by().used_artifacts() if a.name == name]

    assert artifact.logged_by().job_type == "download"
    assert list(artifact.logged_by().used_artifacts()) == []
    page = Path(api.artifact("songs/model_card:v0").file(tmp_path)).read_text()
    names = re.findall(r"<code>([\w.]+:v\d+)</code>", page)
    assert names == [
        "raw_data.parquet:v0",
        "preprocessed_data.parquet:v0",
        "test_data.parquet:v0",
        "train_data.parquet:v0",
        "model_export:v0",
    ]
    # The clone is a repository, with one commit.
    commit = run(["git", "rev-parse", "HEAD"], clone).stdout.strip()
    assert f"commit <code>{commit}</code>, without further changes" in page


@pytest.mark.usefixtures("first_run")
def test_runs_are_grouped_by_experiment_and_lead_to_mlflow_and_back(
    api: wandb.Api, clone: Path
) -> None:
    runs = {found.job_type: found for found in api.runs("local/songs")}
    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")

    assert set(runs) == set(STEPS)
    assert {found.group for found in runs.values()} == {"development"}
    for job_type, found in runs.items():
        twin = client.get_run(found.id)
        parent = client.get_run(twin.data.tags["mlflow.parentRunId"])
        assert found.state == "finished"
        assert twin.info.status == "FINISHED"
        assert twin.data.tags["mlflow.runName"] == job_type
        assert twin.data.tags["wandb.run_url"] == found.url
        assert parent.info.run_id in found.notes
        assert parent.info.status == "FINISHED"


def test_what_has_not_changed_is_reused_and_told_as_that(
    clone: Path, first_run: "subprocess.CompletedProcess[str]", api: wandb.Api
) -> None:
    main(clone)  # the first comparison with the data of a model in production
    api.flush()
    before, known = metrics(clone), {found.id for found in api.runs("local/songs")}

    planned = main(clone, "main.dry_run=true")
    result = main(clone)

    assert result.returncode == 0, result.stdout + result.stderr
    reused = dict(re.findall(r"\[\d/6\] (\w+) reused from (\w+)", result.stdout))
    assert dict(re.findall(r"(\w+) would be reused from (\w+)", planned.stdout)) == reused
    assert list(reused) == list(STEPS)
    assert made(result.stdout)[-2:] == made(first_run.stdout)[-2:]
    assert metrics(clone) == before
    api.flush()
    assert {found.id for found in api.runs("local/songs")} == known
    assert all("reused" in api.run(f"local/songs/{id_}").tags for id_ in reused.values())
    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for step, origin in reused.items():
        tag = f"tags.`step.reused_from` = '{origin}'"
        (twin,) = client.search_runs(experiments, tag, max_results=1)
        assert twin.info.run_name == f"{step} (reused)"
        assert twin.data.tags["wandb.run_url"] == api.run(f"local/songs/{origin}").url

    # From now on it is known without asking MLflow and wandb, and there is nothing to record.
    count = len(client.search_runs(experiments))
    again = main(clone, PYTHONPROFILEIMPORTTIME="1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert steps_and_scores(again.stdout) == steps_and_scores(result.stdout)
    assert not re.search(r"\| +(mlflow|wandb)$", again.stderr, re.MULTILINE)
    assert len(client.search_runs(experiments)) == count


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize(
    ("overrides", "steps", "why"),
    [
        (
            ["random_forest_pipeline.random_forest.max_depth=3"],
            ["train_random_forest", "evaluate"],
            "train_random_forest would run: model_config.random_forest.max_depth 13 -> 3",
        ),
        (["main.force_steps=[evaluate]"], ["evaluate"], "main.force_steps names it"),
        (
            ["main.project_name=elsewhere"],
            list(STEPS),
            "download would run: what it made is not in this W&B project",
        ),
    ],
    ids=str,
)
def test_a_dry_run_says_what_would_run_and_why_and_does_nothing(
    overrides: list[str], steps: list[str], why: str, clone: Path
) -> None:
    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    before = {found.info.run_id for found in client.search_runs(experiments)}

    result = main(clone, "main.dry_run=true", *overrides)

    assert result.returncode == 0, result.stdout + result.stderr
    assert re.findall(r"\] (\w+) would run", result.stdout) == steps
    assert why in result.stdout
    assert result.stderr == ""
    assert {found.info.run_id for found in client.search_runs(experiments)} == before


@pytest.mark.usefixtures("first_run")
def test_of_two_pipelines_that_want_the_same_at_once_one_makes_it(
    clone: Path, api: wandb.Api
) -> None:
    both = [
        start_main(clone, "twins", "main.project_name=twins", "main.execute_steps=download")
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted("reused from" in said for said, _ in outputs) == [False, True]
    assert len(api.runs("local/twins")) == 1

    api.artifact("twins/raw_data.parquet:v0").delete(delete_aliases=True)
    again = main(clone, "main.project_name=twins", "main.execute_steps=download")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "what it made is not in this W&B project" in again.stdout
    assert len(made(again.stdout)) == 1


@pytest.mark.usefixtures("first_run")
def test_an_agent_of_w_and_b_runs_a_trial_of_sweep_yaml(
    clone: Path, server: Server, api: wandb.Api
) -> None:
    variables = server.environment() | {
        # The agent's command asks for a program named python.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    made_sweep = run(["wandb", "sweep", "sweep.yaml"], clone, **variables)
    path = made_sweep.stderr.rpartition("wandb agent ")[2].split()[0]

    agent = run(["wandb", "agent", "--count", "1", path], clone, **variables)

    assert agent.returncode == 0, agent.stdout + agent.stderr
    sweep = api.sweep(path)
    (trial,) = sweep.runs
    assert (trial.state, trial.job_type, trial.group) == ("finished", "pipeline", "sweep")
    assert sweep.best_run().id == trial.id
    (step,) = api.runs("local/songs", {"group": "sweep", "jobType": "train_random_forest"})
    depth = trial.config["random_forest_pipeline.random_forest.max_depth"]
    assert step.config["random_forest"]["max_depth"] == depth
    assert step.summary["val/roc_auc_ovo"] == trial.summary["val/roc_auc_ovo"]


@dataclass(frozen=True)
class Second:
    """A run of the same config on an empty server.

    Attributes:
        result: The process.
        folder: The server's data.
        before: Metrics of the run before.
        trouble: Why it could reach a network; empty if it couldn't.
    """

    result: "subprocess.CompletedProcess[str]"
    folder: Path
    before: dict[str, float]
    trouble: str


@pytest.fixture(scope="module")
def second(clone: Path, first_run: "subprocess.CompletedProcess[str]") -> Second:
    """Nothing can be reused there; where that can be arranged, there is no network either."""
    assert first_run.returncode == 0
    before, folder = metrics(clone), Path(os.environ["HOME"]) / "no network"
    probe = run([*NO_NETWORK, "ip link set lo up"], clone)
    command = f"{sys.executable} main.py && {sys.executable} -m wandb_server stop"
    shell = ["sh", "-c", command]
    if probe.returncode == 0:
        shell = [*NO_NETWORK, f"ip link set lo up && {command}"]
    result = run(shell, clone, WANDB_SERVER_DIR=str(folder), UV_OFFLINE="1")
    return Second(result, folder, before, probe.stderr if probe.returncode else "")


def test_a_run_needs_no_network_once_its_environments_exist(second: Second) -> None:
    if second.trouble:
        pytest.skip(f"network namespaces can't be made here: {second.trouble}")

    assert second.result.returncode == 0, second.result.stdout + second.result.stderr
    assert (second.folder / "wandb.sqlite3").exists()


def test_the_same_config_gives_the_same_digests_and_metrics(
    second: Second,
    clone: Path,
    first_run: "subprocess.CompletedProcess[str]",
    api: wandb.Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = made(first_run.stdout)
    assert made(second.result.stdout) == names
    assert metrics(clone) == second.before
    monkeypatch.setenv("WANDB_SERVER_DIR", str(second.folder))
    server = ensure_running()
    try:
        twin = wandb.Api(
            overrides={"base_url": server.base_url, "entity": "local"}, api_key=server.api_key
        )
        for name in names:
            digests = [side.artifact(f"songs/{name}").digest for side in (api, twin)]
            assert digests[0] == digests[1], name
    finally:
        service.stop()


def run_release(version: str, url: str, options: str, folder: Path) -> str:
    """Run a version from a repository's URL, in an empty folder; returns what it printed."""
    command = ["mlflow", "run", "-v", version, "--env-manager", "uv", url]
    result = run([*command, "-P", f"hydra_options=main.execute_steps=preprocess {options}"], folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.usefixtures("first_run")
def test_a_commit_runs_from_its_url_and_finds_the_history(
    clone: Path, release: str, tmp_path: Path
) -> None:
    commit = run(["git", "rev-parse", "HEAD"], clone).stdout.strip()

    output = run_release(commit, release, "", tmp_path)

    assert made(output) == ["preprocessed_data.parquet:v0"]
    assert "takes raw_data.parquet:v0" in output


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("version", ["v1.0.0", "main"])
def test_a_tag_or_branch_is_found_as_well(version: str, release: str, tmp_path: Path) -> None:
    output = run_release(version, release, "main.dry_run=true", tmp_path)

    assert "preprocess would run: it has not run before" in output


@pytest.mark.usefixtures("first_run")
def test_a_step_runs_from_the_repository_s_url(
    release: str, tmp_path: Path, server: Server
) -> None:
    result = run(
        [
            "mlflow",
            "run",
            "--env-manager",
            "uv",
            f"{release}#preprocess",
            "-P",
            "input_artifact=raw_data.parquet:v0",
            "-P",
            "target=genre",
            "-P",
            "output_artifact=preprocessed_data.parquet",
        ],
        tmp_path,
        WANDB_BASE_URL=server.base_url,
        WANDB_API_KEY=server.api_key,
        WANDB_PROJECT="songs",
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "Dropped 80 duplicate rows" in result.stderr


DEPTH = "random_forest_pipeline.random_forest.max_depth"


@pytest.fixture(scope="module")
def trials(
    clone: Path, first_run: "subprocess.CompletedProcess[str]"
) -> "subprocess.CompletedProcess[str]":
    """A sweep of three trials, two at a time, of which the one that is begun first fails."""
    assert first_run.returncode == 0
    return main(
        clone,
        "-m",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "main.execute_steps=train_random_forest,evaluate",
        "main.experiment_name=depths/1",
        "evaluate.promote=never",
        "random_forest_pipeline.random_forest.n_estimators=5",
        f"{DEPTH}=-1,2,3",
    )


@pytest.mark.usefixtures("trials")
def test_trials_of_a_sweep_each_train_their_own_model_and_the_best_one_alone_is_evaluated(
    api: wandb.Api,
) -> None:
    api.flush()
    runs = list(api.runs("local/songs", {"group": "depths/1"}))
    trained = {
        found.config["random_forest"]["max_depth"]: found
        for found in runs
        if found.job_type == "train_random_forest"
    }
    scores = {depth: trained[depth].summary["val/roc_auc_ovo"] for depth in (2, 3)}
    best = trained[max(scores, key=lambda depth: scores[depth])]
    model = f"model_export:{best.summary['output/model_export']}"
    (evaluated,) = [found for found in runs if found.job_type == "evaluate"]

    assert {depth: found.state for depth, found in trained.items()} == {
        -1: "failed",
        2: "finished",
        3: "finished",
    }
    assert len({trained[depth].summary["output/model_export"] for depth in (2, 3)}) == 2
    assert evaluated.config["model_artifact"] == model
    assert evaluated.config["test_artifact"] == "test_data.parquet:v0"
    tagged = api.artifact("songs/model_export:best-depths%2F1")
    assert f"model_export:{tagged.version}" == model
    assert api.artifact("songs/model_export:prod").version == "v0"
    # Two trials at a time share the cores.
    cores = len(os.sched_getaffinity(0))
    assert best.config["random_forest"]["n_jobs"] == max(1, cores // 2)


def test_a_sweep_tells_of_its_trials_the_best_first_and_why_one_failed(
    trials: "subprocess.CompletedProcess[str]", api: wandb.Api
) -> None:
    assert trials.returncode == 1
    assert f"Trial 0 failed ({DEPTH}=-1): The step 'train_random_forest' failed" in trials.stdout
    table = trials.stdout[trials.stdout.index("Sweep depths/1: 3 trials, 1 failed;") :]
    listed = re.findall(r"^(\d) +(-?\d) +(\S+)( ± 0\.\d+)? .* (\w+)$", table, re.MULTILINE)
    assert [(row[1], row[4]) for row in listed[2:]] == [("-1", "failed")]
    assert float(listed[0][2]) > float(listed[1][2])
    assert all(row[3] for row in listed[:2])
    assert "Trial 0 failed: train_random_forest: scikit-learn can't fit the model" in table
    assert "Traceback" not in trials.stderr
    (told,) = api.runs("local/songs", {"group": "depths/1", "jobType": "sweep"})
    assert (told.state, told.name, told.summary["best/max_depth"]) == (
        "finished",
        "depths/1",
        int(listed[0][1]),
    )
    media = {key: told.summary[key]["_type"] for key in ("trials", "sweep")}
    assert media == {"trials": "table-file", "sweep": "html-file"}
    assert told.summary["parallel_coordinates"]["_type"] == "image-file"


def test_mlflow_keeps_the_trials_and_the_evaluation_below_one_run(
    trials: "subprocess.CompletedProcess[str]", clone: Path
) -> None:
    assert "depths/1" in trials.stdout
    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "attributes.run_name = 'depths/1 (sweep)'")
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"

    children = client.search_runs(experiments, below)

    assert sorted(child.info.status for child in children) == ["FAILED"] + ["FINISHED"] * 3
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {"sweep.html"}


@pytest.mark.usefixtures("trials")
def test_a_search_takes_over_trials_that_have_ended_and_goes_by_their_scores(
    clone: Path, api: wandb.Api
) -> None:
    result = main(
        clone,
        "-m",
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.direction=minimize",
        "main.execute_steps=train_random_forest",
        "main.experiment_name=search",
        "random_forest_pipeline.random_forest.n_estimators=5",
        f"{DEPTH}=2,3",
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "Fitting" not in result.stderr + result.stdout
    assert "the lowest first" in result.stdout
    found = re.findall(r"^Trial \d: (0\.\d{6})", result.stdout, re.MULTILINE)
    models = api.artifact("songs/model_export:best-search").metadata
    assert len(found) == 3
    assert f"{models['metrics']['val/roc_auc_ovo']:.6f}" == min(found)
    api.flush()
    runs = api.runs("local/songs", {"group": "search"})
    assert {found.job_type for found in runs} == {"sweep"}


def test_a_newcomer_finds_the_best_model_follows_it_to_its_data_and_moves_prod(
    trials: "subprocess.CompletedProcess[str]", server: Server, api: wandb.Api
) -> None:
    printed = re.findall(r"http://127\.0\.0\.1:\d+/signin\?token=\S+", trials.stdout)
    with open_browser() as browser, visit(browser, printed[-1]) as page:
        page.goto(f"{server.base_url}/local/songs")
        # But for the agent's trial, whose depth was drawn: it may be the best one, or not.
        words = "job_type = train_random_forest and group != sweep"
        page.get_by_label("Filter", exact=True).fill(words)
        page.get_by_role("button", name="Show").click()
        page.get_by_role("link", name="val/roc_auc_ovo", exact=True).click()
        rows = page.locator("table.runs tbody tr")
        chosen = {"jobType": "train_random_forest", "group": {"$ne": "sweep"}}
        best, second = api.runs("local/songs", chosen, "-summary_metrics.val/roc_auc_ovo")[:2]
        for row, found in ((rows.nth(0), best), (rows.nth(1), second)):
            expect(row).to_contain_text(f"{found.summary['val/roc_auc_ovo']:.5g}")
            row.get_by_role("checkbox").check()
        page.get_by_role("button", name="Compare selected").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 runs")
        expect(page.get_by_role("row", name="max_depth")).to_contain_text("13")

        page.goto(f"{server.base_url}/local/songs/runs/{best.id}")
        matrix = page.get_by_role("img", name="confusion_matrix")
        matrix.scroll_into_view_if_needed()
        expect(matrix).not_to_have_js_property("naturalWidth", 0)
        page.get_by_role("link", name="model_export:v0").click()
        page.get_by_role("link", name="Lineage").click()
        page.get_by_role("link", name=re.compile("^version raw_data.parquet:v0")).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("raw_data.parquet:v0")

        challenger = str(second.summary["output/model_export"])
        try:
            for before, after in (("v0", challenger), (challenger, "v0")):
                page.goto(f"{server.base_url}/local/songs/artifacts/model/model_export/{after}")
                page.get_by_label("Alias", exact=True).fill("prod")
                page.get_by_role("button", name="Point it here").click()
                page.get_by_role("button", name=f"Move prod from {before} to {after}").click()
                expect(page.get_by_role("heading", level=1)).to_contain_text("prod")
                assert api.artifact("songs/model_export:prod").version == after
        finally:
            known = api.artifact("songs/model_export:v0")
            if "prod" not in known.aliases:
                known.aliases.append("prod")
                known.save()


@pytest.mark.usefixtures("first_run")
def test_options_arrive_through_mlflow_and_nothing_is_exported_when_asked(clone: Path) -> None:
    options = (
        "'main.experiment_name=a name [with] odd* \"characters\"' "
        "main.execute_steps='train_random_forest, evaluate' "
        "random_forest_pipeline.export_artifact=null "
        "random_forest_pipeline.random_forest.n_estimators=5" + " main.random_seed=42" * 400
        # MLflow stores 6,000 characters of a parameter; all of them must arrive.
    )

    result = run(
        ["mlflow", "run", ".", "--env-manager", "uv", "-P", f"hydra_options={options}"], clone
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert 'experiment a name [with] odd* "characters"' in result.stdout
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
    (["dataset.columns.genre.allowed=[trap, dnb]"], {}, "allowed [genre]"),
    # A check that failed is done again: it is never reused.
    (["dataset.columns.genre.allowed=[trap, dnb]", "main.force_steps=[]"], {}, "allowed [genre]"),
    (
        ["+dataset.columns.mood={type: float}", "main.execute_steps=check_data"],
        {},
        "present [mood]: the column is missing; there are: danceability,",
    ),
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


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize(
    ("overrides", "variables", "message"), BAD_INPUT, ids=lambda value: str(value)[:40]
)
def test_bad_input_is_told_and_leaves_production_alone(
    overrides: list[str], variables: dict[str, str], message: str, clone: Path, api: wandb.Api
) -> None:
    result = main(clone, *overrides, **variables)

    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert api.artifact("songs/model_export:prod").version == "v0"


def wait_for_run(api: wandb.Api, group: str, job_type: str) -> Any:
    deadline = time.monotonic() + 120
    while True:
        found = list(api.runs("local/songs", {"group": group, "jobType": job_type}))
        if found:
            return found[0]
        assert time.monotonic() < deadline, f"no {job_type} of {group} began"
        time.sleep(0.05)


def start_main(clone: Path, group: str, *overrides: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "main.py", f"main.experiment_name={group}", *overrides],
        cwd=clone,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


# A forest that takes long enough to be interrupted.
SLOW = (
    "main.execute_steps=train_random_forest",
    "random_forest_pipeline.random_forest.n_estimators=20000",
)


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_pipeline_ends_its_step_and_both_runs_as_failed(
    number: signal.Signals, clone: Path, api: wandb.Api
) -> None:
    group = f"interrupted-{number.name}"
    process = start_main(clone, group, *SLOW)
    found = wait_for_run(api, group, "train_random_forest")

    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Stopped" in errors
    api.flush()
    assert api.run(f"local/songs/{found.id}").state == "failed"
    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    twin = client.get_run(found.id)
    assert twin.info.status == "FAILED"
    assert client.get_run(twin.data.tags["mlflow.parentRunId"]).info.status == "FAILED"
    assert not list(found.logged_artifacts())


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("sender", ["terminal", "program"])
def test_an_interrupted_sweep_in_worker_processes_ends_all_runs_as_failed(
    sender: str, clone: Path, api: wandb.Api
) -> None:
    group = f"sweep interrupted by a {sender}"
    depths = "random_forest_pipeline.random_forest.max_depth=2,3,4"
    workers = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    process = start_main(clone, group, *workers, *SLOW, depths, "-m")
    deadline = time.monotonic() + 120
    while len(list(api.runs("local/songs", {"group": group}))) < 2:
        assert time.monotonic() < deadline
        api.flush()
        time.sleep(0.1)

    if sender == "terminal":  # which signals all of a group
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "The sweep was stopped, and this trial with it." in errors
    assert "Stopped" in errors
    api.flush()
    runs = list(api.runs("local/songs", {"group": group}))
    assert [found.state for found in runs] == ["failed", "failed"]
    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    for twin in [client.get_run(found.id) for found in runs]:
        assert twin.info.status == "FAILED"
        assert client.get_run(twin.data.tags["mlflow.parentRunId"]).info.status == "FAILED"


@pytest.mark.usefixtures("first_run")
def test_a_killed_pipeline_takes_its_step_along_which_ends_its_run_as_failed(
    clone: Path, api: wandb.Api
) -> None:
    process = start_main(clone, "kill -9", *SLOW)
    found = wait_for_run(api, "kill -9", "train_random_forest")

    process.kill()
    process.communicate(timeout=60)

    deadline = time.monotonic() + 60
    while processes_below(clone):
        assert time.monotonic() < deadline, processes_below(clone)
        time.sleep(0.05)
    api.flush()
    assert api.run(f"local/songs/{found.id}").state == "failed"


def processes_below(folder: Path) -> list[str]:
    """Return the commands of the processes that work in a folder or below it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def read_until(terminal: int, text: str, seen: str = "") -> str:
    """Read from a terminal until a text was seen, or until its other end is closed if empty."""
    deadline = time.monotonic() + 120
    while not text or text not in seen:
        assert time.monotonic() < deadline, seen
        try:
            seen += os.read(terminal, 4096).decode()
        except OSError:  # the other end was closed
            assert not text, seen
            return seen
    return seen


@pytest.mark.usefixtures("first_run")
def test_ctrl_c_in_a_terminal_stops_all_of_mlflow_run(clone: Path, api: wandb.Api) -> None:
    options = f"main.experiment_name=ctrl-c {' '.join(SLOW)}"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(clone)
        command = ["mlflow", "run", ".", "--env-manager", "uv", "-P", f"hydra_options={options}"]
        os.execvpe("mlflow", command, environment())  # noqa: S606  # in the terminal that was forked
    found = wait_for_run(api, "ctrl-c", "train_random_forest")
    os.write(terminal, b"\x03")
    seen = read_until(terminal, "")
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) != 0
    assert "Stopped. What was running is marked as failed." in seen
    assert api.run(f"local/songs/{found.id}").state == "failed"
    twin = MlflowClient(f"sqlite:///{clone}/mlflow.db").get_run(found.id)
    assert twin.info.status == "FAILED"
    assert processes_below(clone) == []


@pytest.mark.usefixtures("first_run")
def test_a_step_killed_from_outside_is_told_as_killed(clone: Path, api: wandb.Api) -> None:
    process = start_main(clone, "killed", *SLOW)
    found = wait_for_run(api, "killed", "train_random_forest")
    deadline = time.monotonic() + 30
    step = ""
    while not step:
        assert time.monotonic() < deadline
        listed = run(["ps", "-o", "pid=,args=", "--ppid", str(process.pid)], clone).stdout
        step = next((line.split()[0] for line in listed.split("\n") if "run.py" in line), "")

    os.kill(int(step), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "The step 'train_random_forest' failed (killed by signal 9)" in errors
    assert MlflowClient(f"sqlite:///{clone}/mlflow.db").get_run(found.id).info.status == "FAILED"
    assert api.artifact("songs/model_export:prod").version == "v0"


@pytest.mark.usefixtures("first_run")
def test_a_table_of_one_s_own_needs_one_yaml_as_the_docs_show_it(
    clone: Path, tmp_path: Path, api: wandb.Api
) -> None:
    page = (ROOT / "docs/your-own-data.md").read_text()
    table = tmp_path / "houses.csv"
    settings = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]
    (clone / "dataset/houses.yaml").write_text(settings.replace("/data/houses.csv", str(table)))
    random = Random(0)
    lines = ["price,area,rooms,heating,description"]
    for _ in range(200):
        area = random.uniform(30, 300)
        words = random.choice(["near the sea", "with a garden", ""])
        price = 1000 * area + random.gauss(0, 1000) + 50_000 * ("sea" in words)
        heating = random.choice(["gas", "oil", "none"])
        lines.append(f"{price:.2f},{area:.1f},{random.randint(1, 8)},{heating},{words}")
    table.write_text("\n".join(lines))
    command = next(
        block for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) if "r2" in block
    )

    result = run(["bash", "-ec", f". .venv/bin/activate\n{command}"], clone)

    assert result.returncode == 0, result.stdout + result.stderr
    model = api.artifact("houses/model_export:prod")
    assert model.metadata["task"] == "regression"
    assert model.metadata["metrics"]["val/r2"] > 0.8


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("command", NEXT)
def test_what_the_readme_shows_next_works(command: str, clone: Path) -> None:
    result = run(["bash", "-ec", f". .venv/bin/activate\n{command}"], clone)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.usefixtures("first_run")
def test_a_model_is_made_again_to_the_last_bit_and_the_original_stays_as_it_was(
    clone: Path, api: wandb.Api
) -> None:
    def known() -> tuple[Any, ...]:
        api.flush()
        runs = {found.id: found.tags for found in api.runs("local/songs")}
        return (
            runs,
            api.artifact("songs/model_export:prod").version,
            len(list(api.projects("local"))),
        )

    before = known()

    result = run([sys.executable, "-m", "pipeline", "reproduce", "model_export:v0"], clone)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "\ndownload > preprocess > segregate > train_random_forest\n" in f"\n{result.stdout}"
    assert re.search(r"commit [0-9a-f]{12}, nothing uncommitted", result.stdout)
    assert "whose SHA-256 is still" in result.stdout
    assert re.search(r"train_random_forest  model_export:v0 +identical\n", result.stdout)
    assert re.search(r"train_random_forest  \d+ metrics +identical\n", result.stdout)
    assert re.search(r"Identical: all \d+ comparisons", result.stdout)
    assert known() == before
