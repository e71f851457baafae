"""download fetches a table completely or not at all, and says why not."""

import gzip
import hashlib
import io
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import wandb

CSV = b"name,plays,score,live\nLow Tide,12,0.5,true\nNA,,3,false\n"


def parquet_bytes(columns):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


PARQUET = parquet_bytes({"plays": [12, 3], "name": ["Low Tide", None]})


@pytest.fixture(scope="module")
def step(load_step):
    return load_step("download")


@contextmanager
def web_server(*answers):
    """Serve each answer, a function of the request handler, once; the last one for ever."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append(self.path)
            answers[min(len(asked), len(answers)) - 1](self)

        def log_message(self, *args):
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/songs", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(body=b"", status=200, length=None, **headers):
    def send(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Connection", "close")
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return send


def answer_in_cut_chunks(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"5\r\na,b\n1\r\n")
    handler.close_connection = True


def stay_silent(handler):
    handler.connection.settimeout(10)
    # Ends when the client hangs up.
    handler.connection.recv(1)
    handler.close_connection = True


def fetch_and_verify(step, url, folder, timeout=5.0, retries=0, sha256=""):
    fetched = step.fetch.fetch(url, folder / "fetched", timeout, retries)
    return fetched, step.run.verify(fetched, folder / "table.parquet", sha256)


def test_parquet_is_kept_byte_for_byte(step, tmp_path):
    with web_server(answer(PARQUET, ETag='"abc"', Last_Modified="Sat, 21 Nov 2026")) as (url, _):
        fetched, table = fetch_and_verify(step, url, tmp_path)
    assert table.path.read_bytes() == PARQUET
    assert (table.rows, table.columns) == (2, ["plays", "name"])
    assert fetched.sha256 == hashlib.sha256(PARQUET).hexdigest()
    assert (fetched.size, fetched.etag) == (len(PARQUET), '"abc"')
    assert fetched.last_modified == "Sat, 21 Nov 2026"


@pytest.mark.parametrize(
    "body",
    [CSV, gzip.compress(CSV), b"\xef\xbb\xbf" + CSV],
    ids=["csv", "gzipped", "byte order mark"],
)
def test_csv_becomes_parquet_with_types_and_nulls(step, tmp_path, body):
    with web_server(answer(body, Content_Type="text/csv")) as (url, _):
        _, table = fetch_and_verify(step, url, tmp_path)
    assert pq.read_table(table.path) == pa.table(
        {
            "name": ["Low Tide", None],
            "plays": [12, None],
            "score": [0.5, 3.0],
            "live": [True, False],
        }
    )


def test_gzip_of_the_connection_is_undone(step, tmp_path):
    with web_server(answer(gzip.compress(PARQUET), Content_Encoding="gzip")) as (url, _):
        _, table = fetch_and_verify(step, url, tmp_path)
    assert table.path.read_bytes() == PARQUET


def test_redirects_are_followed(step, tmp_path):
    with web_server(answer(status=302, Location="/moved"), answer(PARQUET)) as (url, asked):
        fetch_and_verify(step, url, tmp_path)
    assert asked == ["/songs", "/moved"]


@pytest.mark.parametrize(
    "fault",
    [
        answer(b"busy", status=503, Retry_After="0"),
        answer(b"slow down", status=429, Retry_After="0"),
        answer(PARQUET[:50], length=len(PARQUET)),
        answer_in_cut_chunks,
    ],
    ids=["503", "429", "cut body", "cut chunks"],
)
def test_a_passing_fault_is_retried(step, tmp_path, fault):
    with web_server(fault, answer(PARQUET)) as (url, asked):
        _, table = fetch_and_verify(step, url, tmp_path, retries=1)
    assert len(asked) == 2
    assert table.path.read_bytes() == PARQUET


@pytest.mark.parametrize(
    ("fault", "message", "requests"),
    [
        (answer(b"gone", status=404), r"the server answered 404 Not Found\. Check `url`", 1),
        (answer(b"no", status=403), "the server answered 403 Forbidden", 1),
        (answer(b"busy", status=503), r"answered 503 .* \(attempt 2 of 2\)", 2),
        (
            answer(PARQUET[:50], length=len(PARQUET)),
            "the file was cut short on its way .*2 of 2",
            2,
        ),
        (answer_in_cut_chunks, "the file was cut short", 2),
        (stay_silent, "not a byte came within `timeout`", 2),
        (answer(status=302, Location="/songs"), r"without end\.$", 31),
        (answer(b""), "is empty: 0 bytes. Mend the source", 1),
        (answer(b"\x1f\x8b" + b"garbage" * 9), "it is a damaged gzip file", 1),
        (answer(b"<!DOCTYPE html><p>Sign in"), "web page.*<!DOCTYPE html><p>Sign in", 1),
        (answer(b"Sign in", Content_Type="text/html; charset=utf-8"), "web page", 1),
        (answer(b'{"error": "no such file"}'), "it is JSON.*no such file", 1),
        (answer(b"PK\x03\x04\0\0"), "neither Parquet, nor CSV in UTF-8", 1),
        (answer(CSV.decode().encode("utf-16")), "neither Parquet, nor CSV in UTF-8", 1),
        (answer(PARQUET[:-20]), r"damaged or cut Parquet file: .*\nMend the source, or give", 1),
        (answer(gzip.compress(CSV)[:-12]), "can't be read as CSV: Truncated", 1),
        (answer(gzip.compress(PARQUET)), "gzipped Parquet", 1),
        (answer(b"a,b\n1,2\n3\n"), "Expected 2 columns, got 1: 3", 1),
        (answer(b"a,b\n1,\xff\n"), "can't be read as CSV: .*UTF8", 1),
        (answer(b"a;b\n1;2\n"), "'a;b' isn't separated by commas", 1),
        (answer(b"a,b\n"), "no rows, only the columns a, b", 1),
        (answer(b"a,b,a\n1,2,3\n"), "columns of the same name: a", 1),
        (answer(parquet_bytes({"a": pa.array([], pa.int64())})), "no rows", 1),
        (answer(parquet_bytes({})), "no columns", 1),
    ],
)
def test_what_is_no_complete_table_is_refused(step, tmp_path, fault, message, requests):
    with (
        web_server(fault) as (url, asked),
        pytest.raises(step.fetch.DownloadError, match=message) as caught,
    ):
        fetch_and_verify(step, url, tmp_path, timeout=0.3, retries=1)
    assert len(asked) == requests
    assert url in str(caught.value)


def test_nobody_listening_is_told_as_such(step, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x?token=secret"
        with pytest.raises(step.fetch.DownloadError, match="failed: Connection refused") as caught:
            step.fetch.fetch(url, tmp_path / "x", 5, 0)
    assert "secret" not in str(caught.value)


def test_the_checksum_must_be_that_of_the_source(step, tmp_path):
    source = tmp_path / "songs.csv"
    source.write_bytes(CSV)
    right = hashlib.sha256(CSV).hexdigest()
    fetch_and_verify(step, str(source), tmp_path, sha256=right.upper())
    with pytest.raises(step.fetch.DownloadError, match=f"has the SHA-256 {right}, not 0000"):
        fetch_and_verify(step, str(source), tmp_path, sha256="0" * 64)


@pytest.mark.parametrize("form", ["path", "url"])
def test_any_file_name_can_be_read(step, tmp_path, form):
    source = tmp_path / "a path" / "with [odd] chars*%20ü.parquet"
    source.parent.mkdir()
    source.write_bytes(PARQUET)
    fetched, table = fetch_and_verify(
        step, str(source) if form == "path" else source.as_uri(), tmp_path
    )
    assert table.path.read_bytes() == PARQUET
    assert fetched.source == source.as_uri()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("data/songs.parquet", "relative path.*absolute path"),
        ("file:songs.parquet", "relative path"),
        ("file://elsewhere/songs.parquet", "http.*or file:// URL of this machine"),
        ("s3://bucket/songs.parquet", "http.*or file:// URL"),
        ("http:///songs.parquet", "can't be fetched"),
        ("/no/such/file", "No such file or directory. Give a file"),
        ("/", "Is a directory"),
    ],
)
def test_an_address_of_no_file_is_refused(step, tmp_path, url, message):
    with pytest.raises(step.fetch.DownloadError, match=message):
        step.fetch.fetch(url, tmp_path / "x", 5, 0)


def test_secrets_of_a_url_are_left_out(step):
    url = "https://me:password@host:8443/songs.csv?signature=abc#part"
    assert step.fetch.public_form(url) == "https://host:8443/songs.csv"


def test_a_type_holds_for_all_rows_not_only_the_first_block(step, tmp_path, monkeypatch):
    monkeypatch.setattr(step.convert, "BLOCK_BYTES", 1000)
    rows = 500
    late = {0: "n,half,flag,word,gap,none", rows: "x9,0.5,7,3,1.5,"}
    lines = [late.get(i, f"{i},{i},true,{i},,") for i in range(rows + 1)]
    source = tmp_path / "late.csv"
    source.write_text("\n".join(lines))
    _, table = fetch_and_verify(step, str(source), tmp_path)
    types = {field.name: str(field.type) for field in pq.read_schema(table.path)}
    assert types == {
        "n": "string",
        "half": "double",
        "flag": "string",
        "word": "int64",
        "gap": "double",
        "none": "null",
    }
    assert pq.read_table(table.path)["n"].to_pylist() == [*map(str, range(1, rows)), "x9"]


def test_quoted_commas_line_breaks_and_spaces_are_read(step, tmp_path):
    source = tmp_path / "quoted.csv"
    source.write_text('a,b\n"x, ""y""\nz", 1.5\nw,2\n')
    _, table = fetch_and_verify(step, str(source), tmp_path)
    assert pq.read_table(table.path).to_pydict() == {"a": ['x, "y"\nz', "w"], "b": [1.5, 2.0]}


def test_a_row_longer_than_a_block_is_refused_clearly(step, tmp_path, monkeypatch):
    monkeypatch.setattr(step.convert, "BLOCK_BYTES", 1000)
    source = tmp_path / "long.csv"
    source.write_text("a,b\n" + "x" * 5000 + ",1\n")
    with pytest.raises(step.fetch.DownloadError, match="a row is longer than 1,000 bytes"):
        fetch_and_verify(step, str(source), tmp_path)


def test_a_csv_gives_the_same_bytes_each_time(step, tmp_path):
    source = tmp_path / "songs.csv"
    source.write_bytes(CSV)
    made = [fetch_and_verify(step, str(source), tmp_path)[1].path.read_bytes() for _ in range(2)]
    assert made[0] == made[1]


def test_a_column_without_a_name_is_pointed_out(step, tmp_path, caplog):
    source = tmp_path / "indexed.csv"
    source.write_text(",a\n0,x\n1,x\n")
    fetch_and_verify(step, str(source), tmp_path)
    assert "Column 1 has no name" in caplog.text


def test_the_artifact_entry_is_what_add_file_makes(step, tmp_path):
    source = tmp_path / "songs.parquet"
    source.write_bytes(PARQUET)
    fetched, table = fetch_and_verify(step, str(source), tmp_path)
    ours = step.artifact.make_artifact("raw.parquet", fetched, table)
    theirs = wandb.Artifact("raw.parquet", type="raw_data")
    theirs.add_file(str(source), name="raw.parquet")
    assert ours.digest == theirs.digest
    assert ours.metadata["rows"] == 2
    assert ours.metadata["columns"] == ["plays", "name"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sha256", "12ab", "64 hexadecimal digits"),
        ("timeout", "0", "timeout=0.0"),
        ("timeout", "nan", "timeout=nan"),
        ("retries", "-1", "retries=-1"),
        ("output_artifact", "raw data", "output_artifact='raw data'.*alphanumeric"),
        ("url", "songs.csv", "relative path"),
    ],
)
def test_a_parameter_out_of_range_is_refused_before_work(step, name, value, message):
    parameters = {"url": "/songs.csv", "output_artifact": "raw.parquet", name: value}
    arguments = [f"--{key}={text}" for key, text in parameters.items()]
    with pytest.raises((step.run.ParameterError, step.fetch.DownloadError), match=message):
        step.run.parse(arguments)


MEASURE = """
import sys
from pathlib import Path
from convert import make_parquet
from fetch import fetch
folder = Path(sys.argv[2])
fetched = fetch(sys.argv[1], folder / "fetched", 60, 0)
make_parquet(fetched.path, folder / "table.parquet", fetched.content_type)
lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(lines["VmHWM"].split()[0])
"""


def answer_in_parts(head, part, times):
    def send(handler):
        answer(head, length=len(head) + times * len(part))(handler)
        for _ in range(times):
            handler.wfile.write(part)

    return send


def peak_memory(step, url, folder):
    """Return the MB that a process of its own needed at most to fetch and convert a file."""
    folder.mkdir()
    # Not ru_maxrss: a new process inherits it from its parent.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, url, str(folder)],
        cwd=Path(step.run.__file__).parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return int(done.stdout) / 1024


def test_a_file_of_56_mb_more_takes_no_24_mb_more_memory(step, tmp_path):
    part = b"".join(b"%d,%s\n" % (n, b"x" * 200) for n in range(5000))
    times = [(size << 20) // len(part) for size in (8, 64)]
    with web_server(*(answer_in_parts(b"n,text\n", part, number) for number in times)) as (url, _):
        small, large = (peak_memory(step, url, tmp_path / name) for name in ("small", "large"))
    assert large < small + 24


def test_without_a_terminal_progress_is_plain_lines(step, caplog, monkeypatch, capsys):
    monkeypatch.setattr(step.fetch, "SECONDS_BETWEEN_LINES", 0)
    caplog.set_level("INFO")
    assert list(step.fetch._with_progress([b"x" * 3_000_000, b"y"], 3_000_001))
    assert re.search(r"Downloaded 3 of 3 MB", caplog.text)
    assert "\r" not in capsys.readouterr().err


def test_on_a_slow_line_the_bar_moves_with_each_64_kib(step, tmp_path, monkeypatch):
    sizes, pass_on = [], step.fetch._with_progress

    def note(chunks, total):
        for chunk in pass_on(chunks, total):
            sizes.append(len(chunk))
            yield chunk

    monkeypatch.setattr(step.fetch, "_with_progress", note)
    with web_server(answer(bytes(150_000))) as (url, _):
        step.fetch.fetch(url, tmp_path / "x", 5, 0)
    assert sizes == [65_536, 65_536, 18_928]


def test_a_run_shows_no_secrets_of_its_url(run_step, wandb_api):
    with web_server(answer(PARQUET)) as (url, _):
        done = run_step(
            "download", "download-secret", url=f"{url}?signature=abc", output_artifact="raw.parquet"
        )
    assert done.returncode == 0, done.stderr
    (run,) = wandb_api.runs("download-secret")
    assert f"--url={url}" in run.metadata["args"]
    assert "signature" not in str(run.metadata) + str(run.rawconfig)


def test_the_step_logs_the_table_with_its_origin(run_step, wandb_api):
    headers = {"ETag": '"e1"', "Last_Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
    with web_server(answer(CSV, **headers)) as (url, _):
        done = run_step(
            "download", "download-ok", url=f"{url}?key=secret", output_artifact="raw.parquet"
        )
    assert done.returncode == 0, done.stderr
    artifact = wandb_api.artifact("local/download-ok/raw.parquet:v0")
    assert artifact.type == "raw_data"
    assert artifact.metadata == {
        "source": url,
        "size": len(CSV),
        "sha256": hashlib.sha256(CSV).hexdigest(),
        "rows": 2,
        "columns": ["name", "plays", "score", "live"],
        "etag": '"e1"',
        "last_modified": "Sat, 21 Nov 2026 10:00:00 GMT",
    }
    assert [entry.path for entry in artifact.manifest.entries.values()] == ["raw.parquet"]
    (run,) = wandb_api.runs("local/download-ok")
    assert (run.state, run.job_type, run.summary["rows"]) == ("finished", "download", 2)
    assert run.config["url"] == url


def test_a_cut_download_leaves_a_failed_run_and_no_artifact(run_step, wandb_api):
    with web_server(answer(PARQUET[:50], length=len(PARQUET))) as (url, _):
        done = run_step(
            "download", "download-cut", url=url, output_artifact="raw.parquet", retries=0
        )
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert told.startswith(
        f"download: {url} can't be fetched: the file was cut short on its way (attempt 1 of 1). "
    )
    assert told.endswith("a higher `timeout` and more `retries` wait longer.")
    assert "Traceback" not in done.stderr
    (run,) = wandb_api.runs("local/download-cut")
    assert run.state == "failed"
    assert not list(run.logged_artifacts())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_download_leaves_nothing_behind(
    load_step, step_environment, wandb_api, tmp_path, sent
):
    asked, hung_up = threading.Event(), threading.Event()

    def begin_and_wait(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(PARQUET)))
        handler.end_headers()
        handler.wfile.write(PARQUET[:50])
        asked.set()
        hung_up.wait(60)

    project = f"download-{sent.name.lower()}"
    with web_server(begin_and_wait) as (url, _):
        process = subprocess.Popen(
            [sys.executable, "run.py", f"--url={url}", "--output_artifact=raw.parquet"],
            cwd=Path(load_step("download").run.__file__).parent,
            env=step_environment(project) | {"TMPDIR": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert asked.wait(60)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=60)
        hung_up.set()
    assert process.returncode == 1
    assert errors.endswith("download: stopped.\n")
    assert not [path for path in tmp_path.rglob("*") if path.name == "fetched"]
    (run,) = wandb_api.runs(f"local/{project}")
    assert run.state == "failed"
    assert not list(run.logged_artifacts())


def test_without_w_and_b_the_step_says_what_to_do(run_step, monkeypatch, tmp_path):
    source = tmp_path / "songs.csv"
    source.write_bytes(CSV)
    monkeypatch.setenv("WANDB_MODE", "offline")
    done = run_step("download", "download-offline", url=source, output_artifact="raw.parquet")
    assert done.returncode == 1
    assert "download: WANDB_MODE is offline" in done.stderr
