"""No name from a client becomes a path: the server touches nothing outside its data folder."""

import json
import os
import random
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server import client
from tests.server.conftest import Core
from tests.server.fuzz import NAMES
from wandb_server.errors import ClientError
from wandb_server.filestream import apply_post
from wandb_server.names import check_file_path, check_label

UPSERT = """mutation ($e: String, $p: String, $r: String, $s: String!) {
    upsertBucket(input: {entityName: $e, modelName: $p, name: $r, displayName: $s, groupName: $s,
        jobType: $s, sweep: $s, host: $s, tags: [$s]}) { bucket { id } }
}"""
RUN_FILES = """mutation ($f: [String!]!) {
    createRunFiles(input: {projectName: "p", runName: "r", files: $f}) { files { uploadUrl } }
}"""
READ_PROJECT = "query ($e: String, $p: String) { project(entityName: $e, name: $p) { name } }"
_CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink"}
_PIECES = [
    "..",
    ".",
    "/",
    "\\",
    "C:",
    "~",
    "\0",
    "\n",
    "%2e",
    "\u2024",
    "\uff0f",
    "e\u0301",
    "a",
    " ",
]
_watched: list[list[str]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event in _CHANGES:
        named = arguments[:2] if event in {"os.rename", "os.link"} else arguments[:1]
        _watched[-1].extend(str(item) for item in named if isinstance(item, str | os.PathLike))


sys.addaudithook(_hook)  # for good: Python has no way to take one back


@contextmanager
def _watch() -> Iterator[list[str]]:
    """Collect the paths that Python opens, makes, renames or removes in any thread."""
    _watched.append([])
    try:
        yield _watched[-1]
    finally:
        _watched.pop()


def _names() -> list[str]:
    chance = random.Random(20261121)
    made = ["".join(chance.choices(_PIECES, k=chance.randrange(1, 7))) for _ in range(60)]
    return [*NAMES, *made]


def _send_everywhere(core: Core, name: str) -> None:
    """Use a name in each place that takes one; most of them refuse most of these."""
    core.ask(UPSERT, e=name, p="p", r="r", s="s")
    core.ask(UPSERT, e="local", p=name, r="r", s="s")
    core.ask(UPSERT, e="local", p="p", r=name, s=name)
    core.ask(RUN_FILES, f=[name])
    for field in ("artifactCollectionName", "artifactTypeName", "distributedID", "clientID"):
        fields = {"entityName": "local", "projectName": "p", "artifactTypeName": "t"}
        fields |= {"artifactCollectionName": "c", "digest": "d", field: name}
        core.ask(client.CREATE, i=fields)
    with core.database.write() as connection:
        apply_post(connection, ("local", "p", "r"), {"files": {name: {"offset": 0, "content": []}}})


def _commit(core: Core, name: str) -> None:
    """Log a version that has a file of this name, and a manifest of this name."""
    files = {name: name.encode("utf-8", "replace")}
    fields = {"artifactCollectionName": "files"}
    artifact = client.create(core.data, "p", {"": repr(name).encode()}, **fields)
    for content in (*files.values(), client.manifest(files)):
        core.blobs.write(content)
    core.ask(client.MANIFEST.replace("m.json", json.dumps(name)[1:-1]), a=artifact["id"], d="")
    client.announce(core.data, artifact["id"], client.manifest(files))
    core.ask(client.COMMIT, a=artifact["id"])


def test_no_name_leads_out_of_the_data_folder(core: Core, tmp_path: Path) -> None:
    core.data(UPSERT, e="local", p="p", r="r", s="s")
    with _watch() as touched:
        for name in _names():
            try:
                _send_everywhere(core, name)
                _commit(core, name)
            except UnicodeEncodeError:
                assert any(unicodedata.category(letter) == "Cs" for letter in name)
    inside = [Path(path).relative_to(tmp_path / "core") for path in touched]
    assert len(inside) > 100
    shape = re.compile(r"blobs(|\.lock|/blobs\.lock|/incoming(/\w+)?|/[0-9a-f]{2}(/[0-9a-f]{32})?)")
    assert [path for path in inside if not shape.fullmatch(str(path))] == []
    assert [path.name for path in tmp_path.iterdir()] == ["core"]


@pytest.mark.parametrize(
    "path",
    [
        "C:\\x",
        "C:/x",
        "\\x",
        "\\\\host\\share\\x",
        "//host/share/x",
        "a/..\\..\\x",
        "C:..\\x",
        "a\\..",
    ],
)
def test_what_is_absolute_or_climbs_on_windows_is_refused(path: str) -> None:
    with pytest.raises(ClientError, match="relative path"):
        check_file_path("artifact file", path)


def test_forms_of_one_letter_are_names_of_their_own(core: Core) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert unicodedata.normalize("NFC", decomposed) == composed
    core.data(UPSERT, e="local", p=composed, r="r", s="s")
    seen = [
        core.data(READ_PROJECT, e="local", p=name)["project"] for name in (composed, decomposed)
    ]
    assert seen == [{"name": composed}, None]


def test_a_name_has_255_bytes_at_most() -> None:
    assert check_label("run", "\u00fc" * 127 + "x")
    for name in ("x" * 256, "\u00fc" * 128):
        with pytest.raises(ClientError, match="255 bytes"):
            check_label("run", name)
