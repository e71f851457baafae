"""The exported model serves raw rows in an environment made from its own requirements alone.

The commands and the request are those of docs/serving.md.
"""

import ast
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import requests

# MLflow warns of its own type hints when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text()
# Seconds that making the environment may take, with a cold cache of packages.
PATIENCE = 300


@pytest.fixture(scope="module")
def songs():
    table = pd.read_parquet(ROOT / "sample_data" / "songs.parquet")
    # As in the real set, the first rows have no title at all.
    return table.sort_values("title", na_position="first", kind="stable").head(200)


@pytest.fixture(scope="module")
def pipeline(load_step, songs):
    train = load_step("train_random_forest")
    dataset = train.settings.read_dataset(ROOT / "dataset" / "songs.yaml")
    config = train.settings.ModelConfig({"n_estimators": 5, "random_state": 0}, {})
    return train.forest.fit(songs.assign(title="some words"), dataset, config)


@pytest.fixture(scope="module")
def folder(load_step, pipeline, songs, tmp_path_factory):
    """A folder with the model, and with the files that the page names."""
    folder = tmp_path_factory.mktemp("serving")
    examples = songs[pipeline.feature_names_in_].head(5)
    load_step("train_random_forest").export.export_model(pipeline, examples, folder / "model")
    (folder / "rows.json").write_text(request_of_the_page())
    songs.head(20).to_csv(folder / "rows.csv", index=False)
    return folder


def request_of_the_page():
    return re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1]


def command_of_the_page(start):
    return shlex.split(re.search(f"^{start}.*$", PAGE, re.MULTILINE)[0])


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables for MLflow: a place of its own for environments, a Python of this version."""
    path = [Path(sys.executable).parent, Path(sys.base_prefix) / "bin", os.environ["PATH"]]
    return os.environ | {
        "PATH": os.pathsep.join(map(str, path)),
        "MLFLOW_ENV_ROOT": str(tmp_path_factory.mktemp("envs")),
        "PYTHONDONTWRITEBYTECODE": "",
    }


@pytest.fixture(scope="module")
def server(folder, environment):
    """Serve the model; MLflow makes the environment for it. Gives the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = command_of_the_page("mlflow models serve")
    command[command.index("5001")] = port
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def wait_for(address, process, log):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            requests.get(address, timeout=5).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"no answer in {PATIENCE} s: {log.read_text()}")


def predict(command, folder, environment):
    """Run a command of the page in the environment that the server's start made."""
    programs = next(Path(environment["MLFLOW_ENV_ROOT"]).glob("mlflow-*/bin"))
    command = ["local" if word == "uv" else word for word in command]
    path = os.pathsep.join([str(programs), environment["PATH"]])
    done = subprocess.run(
        [str(programs / command[0]), *command[1:]],
        cwd=folder,
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["predictions"]


def test_a_request_with_nulls_is_answered(server, pipeline):
    rows = json.loads(request_of_the_page())["dataframe_records"]
    assert None in rows[0].values()
    rows.append(dict.fromkeys(rows[0]))
    answer = requests.post(f"{server}/invocations", json={"dataframe_records": rows}, timeout=30)
    assert answer.json() == {"predictions": pipeline.predict(pd.DataFrame(rows)).tolist()}


def test_a_request_without_a_column_is_refused_by_its_name(server):
    rows = json.loads(request_of_the_page())["dataframe_records"]
    del rows[0]["tempo"]
    answer = requests.post(f"{server}/invocations", json={"dataframe_records": rows}, timeout=30)
    assert answer.status_code == 400
    assert "tempo" in answer.json()["message"]


def test_the_examples_that_come_with_the_model_are_a_valid_request(server, folder, pipeline, songs):
    request = json.loads((folder / "model" / "serving_input_example.json").read_text())
    answer = requests.post(f"{server}/invocations", json=request, timeout=30)
    assert answer.json()["predictions"] == pipeline.predict(songs.head(5)).tolist()


@pytest.mark.usefixtures("server")
def test_a_json_file_is_predicted(folder, environment, pipeline):
    rows = pd.DataFrame(json.loads(request_of_the_page())["dataframe_records"])
    command = command_of_the_page("mlflow models predict -m model -t json")
    assert predict(command, folder, environment) == pipeline.predict(rows).tolist()


@pytest.mark.usefixtures("server")
def test_a_csv_file_of_raw_rows_is_predicted(folder, environment, pipeline, songs):
    raw = songs.head(20)
    assert raw["title"].isna().all()
    command = command_of_the_page("mlflow models predict -m model -t csv")
    assert predict(command, folder, environment) == pipeline.predict(raw).tolist()


def test_a_dockerfile_is_written(folder, environment, python):
    command = command_of_the_page("mlflow models generate-dockerfile")
    done = python.run("-m", *command, cwd=folder, env=environment, libraries=("mlflow.cli",))
    assert done.returncode == 0, done.stderr
    assert "FROM python:3.11" in (folder / "docker" / "Dockerfile").read_text()
    assert (folder / "docker" / "model_dir" / "model" / "model.skops").is_file()


def test_the_page_loads_by_the_list_that_the_step_exports_by(load_step):
    trusted = re.search(r"^trusted = (\[.*?\])$", PAGE, re.MULTILINE | re.DOTALL)[1]
    assert ast.literal_eval(trusted) == load_step("train_random_forest").export.TRUSTED_TYPES
