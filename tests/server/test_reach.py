"""Other machines reach a server only where it was told so, and then all of it works there."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conftest import give_free_port
from wandb_server import ServerError, ensure_running, paths
from wandb_server.keys import load_or_create_key
from wandb_server.reach import ALL_IPV4, Reach, check_allowed, read_host, read_public_url

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "wandb_server"]
START = 'mutation { upsertBucket(input: {modelName: "p", name: "r"}) { bucket { id } } }'
UPLOAD = """mutation { createRunFiles(input: {entityName: "local", projectName: "p", runName: "r",
    files: ["a.txt"]}) { files { uploadUrl } } }"""
READ = '{ project(name: "p") { run(name: "r") { files { edges { node { directUrl } } } } } }'
# A network of its own, with loopback and one more address, which can be reached in there only. No
# proxy is in there. Its processes end with it.
OWN_NETWORK = ["unshare", "--net", "--map-root-user", "--pid", "--kill-child", "--", "bash", "-ec"]
NETWORK = """unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy
ip link set lo up
ip address add 192.0.2.1/32 dev lo
"""
LOG_AND_READ = """
import wandb
with wandb.init(project="far", id="away") as run:
    run.log({"x": 1})
    artifact = wandb.Artifact("numbers", "table")
    with artifact.new_file("numbers.txt") as file:
        file.write("1 2 3")
    run.log_artifact(artifact).wait()
read = wandb.Api().run("far/away")
print(read.url, [row["x"] for row in read.scan_history()], read.state)
print(open(wandb.Api().artifact("far/numbers:v0").file()).read())
"""
# The client knows nothing but what `env --remote` prints.
FROM_THERE = """
"$0" -m wandb_server serve --host 192.0.2.1 --allow-remote > told 2> warned &
for _ in $(seq 300); do grep -q Ctrl-C told && break; sleep 0.1; done
variables=$("$0" -m wandb_server env --remote)
"$0" -m wandb_server status | head -3
(cd client; unset WANDB_SERVER_DIR; eval "$variables"; "$0" -c "$1")
kill $!
wait $! || true
"""


@contextmanager
def serving(*words: str) -> Iterator[int]:
    """Run `serve` with more words; give its port."""
    process = subprocess.Popen(
        [*COMMAND, "serve", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout
        told = []
        while not told or not told[-1].startswith("Ctrl-C"):
            told.append(process.stdout.readline().decode())
            assert told[-1], process.communicate()
        try:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", told[0])
            assert found
            yield int(found[1])
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0


def call(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )


def test_an_address_that_others_reach_is_refused_without_a_flag(data_folder: Path) -> None:
    done = call("serve", "--host", "192.0.2.1")
    assert done.returncode == 1
    assert "other machines could reach 192.0.2.1" in done.stderr
    assert "--allow-remote" in done.stderr
    assert not (data_folder / paths.DATABASE).exists()


@pytest.mark.parametrize("host", ["10.1.2.3", ALL_IPV4, "::", "2001:db8::1"])
def test_all_but_loopback_addresses_need_the_flag(host: str) -> None:
    check_allowed(Reach(host), allow_remote=True)
    with pytest.raises(ServerError, match=f"other machines could reach {host}"):
        check_allowed(Reach(host), allow_remote=False)


@pytest.mark.parametrize("host", [None, "127.0.0.1", "127.3.2.1", "::1"])
def test_loopback_addresses_need_no_flag(host: str | None) -> None:
    check_allowed(Reach(host), allow_remote=False)


@pytest.mark.parametrize("text", ["gpu-box", "192.0.2.1:9263", "", "192.0.2"])
def test_an_address_is_given_in_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text)) + ": give an address"):
        read_host(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Wandb.example.org/", "https://wandb.example.org"),
        ("https://wandb.example.org:443", "https://wandb.example.org"),
        ("http://gpu-box:9263", "http://gpu-box:9263"),
        ("http://[2001:DB8::1]:80", "http://[2001:db8::1]"),
    ],
)
def test_a_public_url_is_a_scheme_a_name_and_a_port(text: str, url: str) -> None:
    assert read_public_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["wandb.example.org", "ftp://a", "https://a/b", "https://a?b", "https://u@a", "http://a:b"],
)
def test_a_public_url_that_is_more_or_less_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text)) + ": give a URL"):
        read_public_url(text)


class Caller:
    """Asks a server with its key, at one of its addresses."""

    def __init__(self, address: str, key: str) -> None:
        self.address = address
        self._key = key

    def ask(self, query: str, **headers: str) -> requests.Response:
        url, body, auth = f"{self.address}/graphql", {"query": query}, ("api", self._key)
        return requests.post(url, json=body, headers=headers, auth=auth, timeout=10)

    def data(self, query: str, **headers: str) -> Any:
        answer = self.ask(query, **headers).json()
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, Caller]]:
    """Who asks one server at its usual address, and at a further one."""
    folder = give_free_port(tmp_path_factory.mktemp("reach") / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.VARIABLE, str(folder))
        key = load_or_create_key(folder)
        with serving("--host", "127.0.0.2") as port:
            here, there = (Caller(f"http://127.0.0.{number}:{port}", key) for number in (1, 2))
            yield here, there


def test_a_further_address_works_as_the_first_one_does(
    both: tuple[Caller, Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = both
    status = call("status").stdout
    assert f"{here.address}\n" in status
    assert f"for others  {there.address} (without TLS)\n" in status
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    for_others = call("env", "--remote").stdout
    assert f"export WANDB_BASE_URL={there.address}\n" in for_others
    assert not {"NO_PROXY", "WANDB_USERNAME"} & {*re.findall(r"export (\w+)", for_others)}
    monkeypatch.delenv("HTTP_PROXY")
    assert f"export WANDB_BASE_URL={here.address}\n" in call("env").stdout

    for caller in (here, there):
        caller.data(START)
        (file,) = caller.data(UPLOAD)["createRunFiles"]["files"]
        assert file["uploadUrl"].startswith(f"{caller.address}/upload/")
        assert requests.put(file["uploadUrl"], b"text", timeout=10).ok
        (edge,) = caller.data(READ)["project"]["run"]["files"]["edges"]
        assert edge["node"]["directUrl"].startswith(f"{caller.address}/download/")
        assert requests.get(edge["node"]["directUrl"], timeout=10).content == b"text"

    with requests.Session() as browser:
        link = call("open", "--remote", "--print", "/local/p").stdout.strip()
        assert browser.get(link, timeout=10).url == f"{there.address}/local/p"
        assert browser.get(f"{there.address}/local/p/runs/r", timeout=10).ok


def test_a_further_address_lets_nobody_in_who_has_no_business(
    both: tuple[Caller, Caller],
) -> None:
    here, there = both
    assert Caller(there.address, "x" * 43).ask(READ).status_code == 401
    for host in (
        "evil.example",
        "127.0.0.2.evil.example",
        "127.0.0.3",
        "[127.0.0.2",
        ALL_IPV4,
    ):
        assert there.ask(READ, Host=host).status_code == 421, host
    # To who comes by an address, it is known by that one and by the usual names.
    assert here.ask(READ, Host=urlsplit(there.address).netloc).status_code == 421
    assert there.ask(READ, Host="localhost").ok
    assert there.ask(READ, Origin=there.address).ok
    for origin in (
        "http://evil.example",
        here.address,
        there.address.replace("http", "https"),
        "null",
    ):
        assert there.ask(READ, Origin=origin).status_code == 403, origin


def test_behind_a_proxy_all_addresses_are_those_of_its_public_url(data_folder: Path) -> None:
    public = "https://wandb.example.org"
    key = load_or_create_key(data_folder)
    with serving("--public-url", f"{public}:443/") as port:
        caller = Caller(f"http://127.0.0.1:{port}", key)
        caller.data(START)
        name = {"Host": "wandb.example.org"}
        (file,) = caller.data(UPLOAD, **name)["createRunFiles"]["files"]
        assert file["uploadUrl"].startswith(f"{public}/upload/")
        (file,) = caller.data(UPLOAD)["createRunFiles"]["files"]
        assert file["uploadUrl"].startswith(f"{caller.address}/upload/")
        assert caller.ask(READ, **name, Origin=public).ok
        assert caller.ask(READ, **name, Origin="http://wandb.example.org").status_code == 403
        assert caller.ask(READ, Host="wandb.example.org:80").status_code == 421

        link = call("open", "--remote").stdout.strip()
        assert link.startswith(f"{public}/signin?token=")
        signed_in = requests.get(
            link.replace(public, caller.address), headers=name, allow_redirects=False, timeout=10
        )
        assert "; Secure" in signed_in.headers["Set-Cookie"]


def test_the_server_that_starts_by_itself_is_for_this_machine_only(data_folder: Path) -> None:
    # What a server leaves behind that is killed.
    (data_folder / paths.REMOTE).write_text("http://127.0.0.2:9263\n")
    server = ensure_running()
    port = urlsplit(server.base_url).port
    assert port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
    assert "for others" not in call("status").stdout
    done = call("env", "--remote")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the server is for this machine only" in done.stderr
    assert not (data_folder / paths.REMOTE).exists()


@pytest.mark.usefixtures("data_folder")
def test_an_address_that_this_machine_lacks_is_told() -> None:
    done = call("serve", "--host", "203.0.113.7", "--allow-remote")
    assert done.returncode == 1
    assert "of 203.0.113.7: Cannot assign requested address. Give --host an ad" in done.stderr


def test_the_sdk_works_from_another_address_and_the_user_is_warned(
    data_folder: Path, tmp_path: Path
) -> None:
    if (made := _run([*OWN_NETWORK, NETWORK], tmp_path)).returncode:
        pytest.skip(f"network namespaces with addresses can't be made here: {made.stderr}")
    (tmp_path / "client").mkdir()

    words = [NETWORK + FROM_THERE, sys.executable, LOG_AND_READ]
    done = _run([*OWN_NETWORK, *words], tmp_path)

    assert done.returncode == 0, done.stderr
    port = (data_folder / paths.PORT).read_text().strip()
    assert f"for others  http://192.0.2.1:{port} (without TLS)\n" in done.stdout
    assert f"http://192.0.2.1:{port}/local/far/runs/away [1] finished\n1 2 3\n" in done.stdout
    warned = (tmp_path / "warned").read_text()
    assert warned.startswith(
        f"WARNING: other machines can reach this server at 192.0.2.1, port {port}, without TLS."
    )
    assert f"ssh -N -L {port}:127.0.0.1:{port}" in warned
    assert load_or_create_key(data_folder) not in warned + (tmp_path / "told").read_text()


def _run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    own = {"PYTHONPATH": str(ROOT), "WANDB_SILENT": "true"}
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
