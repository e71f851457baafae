"""Only who holds the key, or a token made from it for just this purpose, gets in."""

import base64

import pytest

from tests.server.conftest import KEY, LiveServer
from wandb_server.auth import SESSION, SESSION_COOKIE, Signer, is_key


def _basic(user: str, key: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()


def test_a_token_holds_for_its_subject_and_time_only() -> None:
    signer = Signer(KEY)
    token = signer.sign("GET /a", 60)
    assert signer.verify("GET /a", token)
    assert not signer.verify("PUT /a", token)
    assert not signer.verify("GET /b", token)
    assert not Signer(KEY + "x").verify("GET /a", token)
    assert not signer.verify("GET /a", signer.sign("GET /a", -2))


def test_a_token_with_a_later_expiry_written_into_it_is_refused() -> None:
    signer = Signer(KEY)
    expiry, _, signature = signer.sign("GET /a", 60).partition(".")
    assert not signer.verify("GET /a", f"{int(expiry) + 1000}.{signature}")


@pytest.mark.parametrize("token", ["", ".", "x.y", "12", "١٢.", "9" * 5000, "\x00", "ä.ö"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    assert not Signer(KEY).verify("GET /a", token)


def test_only_the_right_key_of_the_right_user_passes() -> None:
    assert is_key(_basic("api", KEY), KEY)
    for header in ("", "Basic", "Basic ???", "Bearer " + KEY, _basic("api", ""), _basic("x", KEY)):
        assert not is_key(header, KEY)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/graphql"),
        ("POST", "/files/local/p/r/file_stream"),
        ("GET", "/artifactsV2/default/local/p/c/b/" + "0" * 32 + "/f"),
        ("GET", "/"),
        ("GET", "/no/such/page"),
    ],
)
def test_nothing_is_told_without_the_key(live: LiveServer, method: str, path: str) -> None:
    for key in (None, "local-" + "f" * 48):
        status, headers, body = live.request(method, path, b"{}", key=key)
        assert status == 401
        assert "www-authenticate" in headers
        assert b"API key is missing or wrong" in body


def test_a_browser_session_may_read_but_not_write(live: LiveServer) -> None:
    cookie = {"Cookie": f"{SESSION_COOKIE}={Signer(KEY).sign(SESSION, 60)}"}
    missing = "/artifactsV2/default/local/p/c/b/" + "0" * 32 + "/f"
    assert live.request("GET", missing, headers=cookie, key=None)[0] == 410
    assert live.request("POST", "/graphql", b"{}", cookie, key=None)[0] == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 400),
        ("localhost", 400),
        ("[::1]:8080", 400),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("localhost:80:80", 421),
        ("", 421),
    ],
)
def test_other_host_names_are_turned_away(live: LiveServer, host: str, status: int) -> None:
    answer = live.request("POST", "/graphql", b"not json", {"Host": host})
    assert answer[0] == status


@pytest.mark.parametrize("kind", ["metrics", "logs"])
def test_that_telemetry_is_not_wanted_is_told_to_anybody(live: LiveServer, kind: str) -> None:
    status, _, _ = live.request("POST", f"/sdk/otel/v1/{kind}", key=None)
    assert status == 404


def test_health_is_told_to_anybody(live: LiveServer) -> None:
    status, _, body = live.request("GET", "/healthz", key=None)
    assert status == 200
    assert b"wandb_server" in body
