"""The README from its first command to its last, in a fresh clone and an empty home."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from playwright.sync_api import expect

from pipeline.config import STEPS
from tests.browsing import open_browser, visit
from tests.end_to_end.commands import ROOT, made, metrics, open_store, run
from tests.end_to_end.conftest import NEXT, SWEEP, TESTS, Main, Newcomer, Start
from wandb_server import Server, service


@pytest.fixture(scope="module")
def clone(newcomer: Newcomer) -> Iterator[Path]:
    """The newcomer's own clone, home and history."""
    assert newcomer.returncode == 0, newcomer.stdout + newcomer.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(newcomer.home))
        patch.setenv("WANDB_SERVER_DIR", str(newcomer.data))
        yield newcomer.clone
        service.stop()


def steps_and_scores(output: str) -> str:
    """Return the summary without the address, whose token is new each time."""
    return output[output.index("[1/6]") : output.index("See it at")]


def test_one_command_ends_with_a_model_in_production(newcomer: Newcomer, api: wandb.Api) -> None:
    assert made(newcomer.stdout) == [
        "raw_data.parquet:v0",
        "preprocessed_data.parquet:v0",
        "check_report:v0",
        "train_data.parquet:v0",
        "test_data.parquet:v0",
        "model_export:v0",
        "model_card:v0",
    ]
    assert "roc_auc_ovo" in newcomer.stdout
    assert "model_export:v0 is now tagged prod" in newcomer.stdout
    assert re.search(r"See it at http://127\.0\.0\.1:\d+/signin\?token=", newcomer.stdout)
    assert api.artifact("songs/model_export:prod").version == "v0"


def test_ci_runs_the_readme_s_test_command() -> None:
    assert "mlflow run tests" in TESTS
    assert "grep --max-count=1 'mlflow run tests' README.md" in (ROOT / ".ci/run").read_text()


def test_without_a_terminal_the_output_is_plain_lines(newcomer: Newcomer) -> None:
    # What stands before comes from pip, uv and MLflow.
    steps = newcomer.stderr[newcomer.stderr.index("Downloaded 4,080 rows") :]
    assert not re.search(r"[\x1b\r\x07\x08]", newcomer.stdout + steps)


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


def test_runs_are_grouped_by_experiment_and_lead_to_mlflow_and_back(
    api: wandb.Api, clone: Path
) -> None:
    runs = {found.job_type: found for found in api.runs("local/songs")}
    client, _ = open_store(clone)

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
    main: Main, clone: Path, newcomer: Newcomer, api: wandb.Api
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
    assert made(result.stdout)[-2:] == made(newcomer.stdout)[-2:]
    assert metrics(clone) == before
    api.flush()
    assert {found.id for found in api.runs("local/songs")} == known
    assert all("reused" in api.run(f"local/songs/{id_}").tags for id_ in reused.values())
    client, experiments = open_store(clone)
    for step, origin in reused.items():
        tag = f"tags.`step.reused_from` = '{origin}'"
        (twin,) = client.search_runs(experiments, tag, max_results=1)
        assert twin.info.run_name == f"{step} (reused)"
        assert twin.data.tags["wandb.run_url"] == api.run(f"local/songs/{origin}").url

    # From now on it is known without asking MLflow and wandb, and there is nothing to record.
    count = len(client.search_runs(experiments))
    again = run([sys.executable, "-X", "importtime", "main.py"], clone)
    assert again.returncode == 0, again.stdout + again.stderr
    assert steps_and_scores(again.stdout) == steps_and_scores(result.stdout)
    assert not re.search(r"\| +(mlflow|wandb)$", again.stderr, re.MULTILINE)
    assert len(client.search_runs(experiments)) == count


def test_of_two_pipelines_that_want_the_same_at_once_one_makes_it(
    main: Main, start_main: Start, clone: Path, api: wandb.Api
) -> None:
    both = [
        start_main("twins", "main.project_name=twins", "main.execute_steps=download")
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


# test_sweeps.py runs the sweep.
@pytest.mark.parametrize("command", [command for command in NEXT if command != SWEEP])
def test_what_the_readme_shows_next_works(command: str, clone: Path) -> None:
    result = run(["bash", "-ec", f". .venv/bin/activate\n{command}"], clone)

    assert result.returncode == 0, result.stdout + result.stderr


def test_a_newcomer_finds_the_best_model_follows_it_to_its_data_and_moves_prod(
    main: Main, clone: Path, server: Server, api: wandb.Api
) -> None:
    printed = re.findall(r"http://127\.0\.0\.1:\d+/signin\?token=\S+", main(clone).stdout)
    chosen = {"jobType": "train_random_forest"}
    best, second = api.runs("local/songs", chosen, "-summary_metrics.val/roc_auc_ovo")[:2]
    models = [str(found.summary["output/model_export"]) for found in (best, second)]
    holder = api.artifact("songs/model_export:prod").version
    challenger = next(model for model in models if model != holder)
    with open_browser() as browser, visit(browser, printed[-1]) as page:
        page.goto(f"{server.base_url}/local/songs")
        page.get_by_label("Filter", exact=True).fill("job_type = train_random_forest")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("link", name="val/roc_auc_ovo", exact=True).click()
        rows = page.locator("table.runs tbody tr")
        for row, found in ((rows.nth(0), best), (rows.nth(1), second)):
            expect(row).to_contain_text(f"{found.summary['val/roc_auc_ovo']:.5g}")
            row.get_by_role("checkbox").check()
        page.get_by_role("button", name="Compare selected").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 runs")
        for found in (best, second):
            depth = str(found.config["random_forest"]["max_depth"])
            expect(page.get_by_role("row", name="max_depth")).to_contain_text(depth)

        page.goto(f"{server.base_url}/local/songs/runs/{best.id}")
        matrix = page.get_by_role("img", name="confusion_matrix")
        matrix.scroll_into_view_if_needed()
        expect(matrix).not_to_have_js_property("naturalWidth", 0)
        page.get_by_role("link", name=f"model_export:{models[0]}").click()
        page.get_by_role("link", name="Lineage").click()
        page.get_by_role("link", name=re.compile("^version raw_data.parquet:v0")).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("raw_data.parquet:v0")

        for before, after in ((holder, challenger), (challenger, holder)):
            page.goto(f"{server.base_url}/local/songs/artifacts/model/model_export/{after}")
            page.get_by_label("Alias", exact=True).fill("prod")
            page.get_by_role("button", name="Point it here").click()
            page.get_by_role("button", name=f"Move prod from {before} to {after}").click()
            expect(page.get_by_role("heading", level=1)).to_contain_text("prod")
            assert api.artifact("songs/model_export:prod").version == after


@pytest.mark.exhaustive
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
