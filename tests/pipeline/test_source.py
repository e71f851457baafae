"""A source says whether it has changed, and is asked for no data."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.source import identify


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers HEAD with the headers that the path names, such as /ETag=1&Content-Length=5."""

    def do_HEAD(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/ETag=2")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/gone" else 200)
        for header in self.path.strip("/").split("&") if "=" in self.path else []:
            self.send_header(*header.split("=", 1))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("/ETag=1&Content-Length=5", "ETag 1, Content-Length 5"),
        ("/Last-Modified=yesterday", "Last-Modified yesterday"),
        ("/moved", "ETag 2"),
        ("/Content-Length=5", None),
        ("/nothing", None),
        ("/gone", None),
    ],
)
def test_a_server_is_known_by_what_it_says_of_its_file(
    path: str, state: str | None, address: str
) -> None:
    assert identify(address + path) == state


def test_a_server_that_doesn_t_answer_says_nothing() -> None:
    assert identify("http://127.0.0.1:9/table.csv") is None


def test_a_file_is_known_by_its_content_under_either_name(tmp_path: Path) -> None:
    path = tmp_path / "a table.csv"
    path.write_bytes(b"abc")
    digest = "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    assert identify(str(path)) == identify(path.as_uri()) == digest
    assert identify(str(tmp_path / "none.csv")) is None
    assert identify(str(tmp_path)) is None
