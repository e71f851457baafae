"""The W&B is chosen by what the user has set, and nothing else."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.errors import WandbError
from pipeline.schema import Wandb
from pipeline.wandb_target import CLOUD, choose, find_credentials, has_gone
from wandb_server import ensure_running
from wandb_server.service import stop


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_an_empty_home_has_no_credentials(home: dict[str, str]) -> None:
    assert find_credentials(home) == (CLOUD, None)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"WANDB_API_KEY": "x" * 40}, CLOUD),
        ({"WANDB_BASE_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
    ],
)
def test_variables_of_the_user_choose_the_online_one(
    home: dict[str, str], variables: dict[str, str], address: str
) -> None:
    target = choose(Wandb.auto, home | variables)

    assert (target.address, target.is_local, target.variables) == (address, False, {})


def test_a_login_in_netrc_chooses_the_cloud(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password xyz\n")

    assert find_credentials(home) == (CLOUD, f"logged in, by {tmp_path / '.netrc'}")


def test_a_login_at_another_host_is_no_login_at_the_cloud(
    home: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine example.com login user password xyz\n")

    assert find_credentials(home) == (CLOUD, None)


def test_a_host_chosen_by_wandb_login_is_found(home: dict[str, str], tmp_path: Path) -> None:
    settings = tmp_path / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nbase_url = https://wandb.example.com\n")
    (tmp_path / ".netrc").write_text("machine wandb.example.com login user password xyz\n")

    assert find_credentials(home)[0] == "https://wandb.example.com"
    assert find_credentials(home)[1] is not None


def test_a_broken_netrc_is_named(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("mashine x\n")

    with pytest.raises(WandbError, match=r"\.netrc can't be read.*main\.wandb=local"):
        choose(Wandb.auto, home)


@pytest.mark.parametrize("mode", ["offline", "disabled", "dryrun"])
def test_a_mode_without_artifacts_is_refused(home: dict[str, str], mode: str) -> None:
    with pytest.raises(WandbError, match=f"WANDB_MODE={mode}.*main.wandb=local"):
        choose(Wandb.auto, home | {"WANDB_MODE": mode})


def test_online_without_a_key_says_how_to_get_one(home: dict[str, str]) -> None:
    with pytest.raises(WandbError, match="wandb login"):
        choose(Wandb.online, home)


@pytest.mark.usefixtures("data_folder")
def test_without_a_login_the_local_server_is_started_and_local_beats_a_login(
    home: dict[str, str], tmp_path: Path
) -> None:
    target = choose(Wandb.auto, home)
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password xyz\n")
    again = choose(Wandb.local, home)

    assert target.is_local
    assert target.address == again.address == target.variables["WANDB_BASE_URL"]
    assert target.sign_in(f"{target.address}/local/songs").startswith(f"{target.address}/signin")


@pytest.mark.usefixtures("data_folder")
def test_variables_of_the_local_server_choose_it_even_when_it_has_ended_since(
    home: dict[str, str],
) -> None:
    old = ensure_running().environment()
    stop()
    with socket.create_server(("127.0.0.1", urlsplit(old["WANDB_BASE_URL"]).port or 0)):
        target = choose(Wandb.auto, home | old)

    assert target.is_local
    assert target.reason == "WANDB_API_KEY is the local server's"
    assert target.address != old["WANDB_BASE_URL"]


@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize(
    "variables",
    [
        {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "x" * 64},
        {"WANDB_BASE_URL": "https://wandb.example.com"},
    ],
)
def test_variables_of_another_server_choose_that_one(
    home: dict[str, str], variables: dict[str, str]
) -> None:
    own = ensure_running().environment()

    assert not choose(Wandb.auto, home | own | variables).is_local


def test_a_server_that_can_t_start_is_told(
    home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WANDB_SERVER_DIR", str(tmp_path / "file" / "server"))

    with pytest.raises(WandbError, match=r"local W&B server can't be used.*WANDB_SERVER_DIR"):
        choose(Wandb.auto, home)


def test_a_server_of_this_machine_has_gone_when_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert not has_gone(address)
    assert has_gone(address)
    assert not any(map(has_gone, ("", CLOUD, "http://127.0.0.1")))
