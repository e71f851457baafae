"""Made-up requests, from a seed: GraphQL by the schema, posts, uploads, and plain noise."""

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, unquote

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLType,
    get_named_type,
    is_composite_type,
    is_leaf_type,
)

from tests.server.conftest import KEY
from wandb_server import ids
from wandb_server.auth import Signer
from wandb_server.schema import SCHEMA
from wandb_server.urls import subject

NAMES = [
    "",
    ".",
    "..",
    "../../x",
    "..\\x",
    "/etc/passwd",
    "//host/share",
    "\\\\host\\share",
    "C:\\x",
    "C:/x",
    "a/../../../x",
    "a/./b",
    "nul\0byte",
    "line\nbreak",
    "\x1b[31m",
    "CON",
    "aux.txt",
    "trailing. ",
    "caf\u00e9",  # composed
    "cafe\u0301",  # the same, decomposed
    "\u202egnp.exe",
    "\u2024\u2024/x",  # turns into ".." under compatibility normalisation
    "\uff0e\uff0e\uff0fx",
    "\U0001f4a5",
    "\ud800",
    "%2e%2e%2fx",
    "%00",
    "$(id)",
    "';--",
    "{}",
    "x" * 255,
    "x" * 256,
    "\u00fc" * 128,
    "y" * 5000,
    "d/" * 2500,
    "data:te\r\nxt;x,y",
]
AUTHORIZATION = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
_ALL_KINDS = ["Run", "Project", "Artifact", "ArtifactCollection", "Sweep", "Agent"]
_PAGE_KEYS = ["metric", "x", "axis", "search", "column", "add", "sort", "group", "page", "filter"]
_PAGE_KEYS += ["q", "from", "run"]
_EXPRESSIONS = ["config.a", "-summary.a", "_step", "name", "state = failed and (", 'a ~ "("', "all"]
# What ids and texts of these names usually are.
_KINDS = {
    "artifactID": ["Artifact"],
    "baseArtifactID": ["Artifact"],
    "artifactManifestID": ["ArtifactManifest"],
    "artifactSequenceID": ["ArtifactCollection"],
    "artifactPortfolioID": ["ArtifactCollection"],
    "files": ["RunFile"],
}
_USUAL = {
    "entityName": ["local"],
    "projectName": ["p"],
    "modelName": ["p"],
    "runName": ["r", "s"],
    "artifactCollectionName": ["t", "u"],
    "artifactPortfolioName": ["portfolio"],
    "artifactTypeName": ["dataset"],
    "state": ["running", "finished"],
    "config": [
        "{}",
        '{"a": {"value": 1}}',
        '{"_wandb": 3, "a": [1], "b": null}',
        "method: random\nparameters: {a: {min: 0, max: 1.0}}",
    ],
    "summaryMetrics": ["{}", '{"a": 1}'],
    "digest": ["1B2M2Y8AsgTpgAmY7PhCfg=="],
    "md5": ["1B2M2Y8AsgTpgAmY7PhCfg=="],
}
_STREAMS = ["wandb-history.jsonl", "wandb-events.jsonl", "output.log", "wandb-summary.json", ".."]
_NUMBERS = [0, 1, 2, 5, -1, 10**6, 2**31 - 1, 2**31, 2**63, -(2**63), 2**70, 0.5, 1e308]
_JSON = [
    "{}",
    "[]",
    "{",
    "null",
    '{"a": NaN}',
    '{"state": {"$in": ["running"]}}',
    '{"$or": [{"config.a.value": 1}, {"tags": {"$regex": "^a"}}]}',
    '{"config.a": {"$gt": {"b": []}}, "$and": {}}',
    '{"$not": {"$not": 1}}',
    '{"keys": ["a", "_step"], "samples": 5, "minStep": -1}',
    '{"keys": 7, "samples": "x", "minStep": 1e400}',
    "[" * 500 + "]" * 500,
]


# Name and type of each argument, by the variable that stands for it.
_Arguments = dict[str, tuple[str, GraphQLType]]


@dataclass(frozen=True)
class Made:
    """A request, ready to be sent."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Fuzzer:
    """Makes requests; one seed always makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._wildness = 0.0
        self.rows = 0  # how many artifacts, about, the server has
        self.first_version = 1  # the row of the first of them
        self._signer = Signer(KEY)
        # The server keeps what it has parsed, as it does for the SDK.
        self._documents = [self._document() for _ in range(300)]

    def make(self) -> Made:
        # Where everything is wrong, only the first mistake is ever found.
        self._wildness = self._random.choice([0.0, 0.0, 0.03, 0.03, 0.4])
        kinds = [self._graphql, self._post, self._upload, self._download, self._page]
        return self._random.choices(kinds, [70, 14, 9, 4, 3])[0]()

    def noise(self) -> bytes:
        """Bytes for a socket: a request with something wrong in it."""
        made = self.make()
        lines = [f"{made.method} {_ascii(made.path)} HTTP/1.1", "Host: 127.0.0.1"]
        lines.append(f"Authorization: {AUTHORIZATION}")
        lines += [f"{name}: {_ascii(value)}" for name, value in made.headers.items()]
        lines.append(f"Content-Length: {len(made.body) + self._random.choice([0, 0, 0, -1, 7])}")
        raw = bytearray("\r\n".join(lines).encode() + b"\r\n\r\n" + made.body)
        for _ in range(self._random.choice([0, 1, 5])):
            raw[self._random.randrange(len(raw))] = self._random.randrange(256)
        return bytes(raw[: self._random.choice([len(raw), len(raw), len(raw) // 2])])

    def _graphql(self) -> Made:
        text, arguments = self._random.choice(self._documents)
        variables = {
            variable: self._value(name, kind) for variable, (name, kind) in arguments.items()
        }
        if self._random.random() < 0.03:
            text = self._spoil(text)
        fields = {"query": text, "variables": variables, "operationName": ""}
        body = json.dumps(fields).encode()
        if self._random.random() < 0.03:
            body = self._spoil(body.decode()).encode("utf-8", "replace")
        return Made("POST", "/graphql", body)

    def _document(self) -> tuple[str, _Arguments]:
        """A valid document in which every argument is a variable."""
        arguments: _Arguments = {}
        root = self._random.choice(["Query", "Mutation", "Mutation"])
        fields = SCHEMA.type_map[root].fields  # type: ignore[attr-defined]
        name = self._random.choice(list(fields))
        body = self._field(name, fields[name], arguments, 6)
        declared = ", ".join(f"${variable}: {kind}" for variable, (_, kind) in arguments.items())
        return f"{root.lower()} {f'({declared})' if declared else ''} {{ {body} }}", arguments

    def _field(self, name: str, definition: GraphQLField, arguments: _Arguments, depth: int) -> str:
        given = [
            f"{argument}: ${_declare(argument, kind.type, arguments)}"
            for argument, kind in definition.args.items()
            if isinstance(kind.type, GraphQLNonNull) or self._random.random() < 0.6
        ]
        kind = get_named_type(definition.type)
        text = name + (f"({', '.join(given)})" if given else "")
        if not is_composite_type(kind):
            return text
        fields = getattr(kind, "fields", {})  # a union has none
        leaves = [key for key, item in fields.items() if is_leaf_type(get_named_type(item.type))]
        branches = [key for key in fields if key not in leaves]
        picked = self._random.sample(leaves, min(len(leaves), self._random.randrange(1, 6)))
        if depth:
            picked += self._random.sample(branches, min(len(branches), 2))
        inner = [self._field(key, fields[key], arguments, depth - 1) for key in picked]
        return f"{text} {{ __typename {' '.join(inner)} }}"

    def _value(self, name: str, kind: GraphQLType) -> Any:
        """A value for an argument of this name: now and then of a wrong type or hostile."""
        if self._is_wild() and self._is_wild():
            return self._random.choice([None, 1, "x", [], {}, [[]], {"a": 1}, True])
        if isinstance(kind, GraphQLNonNull):
            return self._value(name, kind.of_type)
        if isinstance(kind, GraphQLList):
            length = self._random.choice([0, 1, 1, 3])
            return [self._value(name, kind.of_type) for _ in range(length)]
        if isinstance(kind, GraphQLInputObjectType):
            return {
                key: self._value(key, item.type)
                for key, item in kind.fields.items()
                if isinstance(item.type, GraphQLNonNull) or self._random.random() < 0.5
            }
        if isinstance(kind, GraphQLEnumType):
            return self._random.choice(["NONE"] if self._is_wild() else list(kind.values))
        return self._leaf(name, str(kind))

    def _leaf(self, name: str, kind: str) -> Any:
        pick = self._random.choice
        if kind == "Boolean":
            return pick([True, False])
        if kind in {"Int", "Float", "Int64", "Duration"}:
            return pick(_NUMBERS if self._is_wild() else [0, 1, 3])
        if kind == "ID" or name.endswith("ID"):
            return self._name() if self._is_wild() else self._id(name)
        if name in _USUAL and not self._is_wild():
            return pick(_USUAL[name])
        if kind == "JSONString":
            return self._name() if self._is_wild() else pick(_JSON)
        if kind == "JSON":
            return pick([{}, [], None, 1.5, "x", {"a": {"b": [1]}}])
        return pick([self._name(), self._name(), self._digest(), "t:latest", "t:v0"])

    def _is_wild(self) -> bool:
        return self._random.random() < self._wildness

    def _id(self, name: str) -> str:
        number = self._random.choice([9**9, 2**63]) if self._is_wild() else self._row()
        kind = self._random.choice(_KINDS.get(name, _ALL_KINDS))
        return ids.encode(kind, number + (self.first_version - 1 if kind == "Artifact" else 0))

    def _row(self) -> int:
        """A row that is likely to exist: mostly a new one, since old ones get deleted."""
        return self._random.choice([1, 2, max(self.rows, 1), max(self.rows - 1, 1)])

    def _name(self) -> str:
        plain = ["local", "p", "q", "r", "s", "t", "dataset", "model", "running", "latest", "x.txt"]
        return self._random.choice(NAMES if self._is_wild() else plain)

    def _digest(self) -> str:
        wrong = ["", "?", "ZDQxZDhjZDk=", "\u00fc"]
        return self._random.choice(wrong if self._is_wild() else ["1B2M2Y8AsgTpgAmY7PhCfg=="])

    def _post(self) -> Made:
        path = _quoted("/".join(["/files", *(self._name() for _ in range(3)), "file_stream"]))
        if self._random.random() < 0.7:
            path = "/files/local/p/r/file_stream"
        files = {
            self._random.choice(_STREAMS): self._chunk() for _ in range(self._random.randrange(4))
        }
        post: Any = {
            "files": files,
            "complete": self._random.choice([None, True, 0]),
            "exitcode": self._random.choice([None, 0, 1, "x", 2**70, True]),
            "uploaded": self._random.choice([None, [], 3]),
        }
        text = json.dumps(self._random.choice([post, post, post, post, [], 3, {"files": []}]))
        if self._random.random() < 0.1:
            text = self._spoil(text)
        body = text.encode("utf-8", "replace")
        if self._random.random() < 0.3:
            packed = bytearray(gzip.compress(body, mtime=0))
            if self._random.random() < 0.3:
                packed[self._random.randrange(len(packed))] ^= 255
            return Made("POST", path, bytes(packed), {"Content-Encoding": "gzip"})
        writer = {"X-WANDB-ASYNC-CLIENT-ID": self._name()[:50]} if len(files) == 3 else {}
        return Made("POST", path, body, {key: _ascii(value) for key, value in writer.items()})

    def _chunk(self) -> Any:
        good = {"offset": self._random.randrange(9), "content": ['{"_step": 1, "a": 2}'] * 2}
        if not self._is_wild():
            return good
        lines = ['{"_step": 1, "a": 2}', '{"_step": 1e999}', "{", '{"a": NaN}', "", "\ud800"]
        lines += ['{"_step": 99999999999999999999}', "x" * 10_000, "[" * 2000, '{"a": {"b": []}}']
        offset = self._random.choice([0, 0, 1, 5, -1, None, "0", 2**53, 1.5, True])
        content = [self._random.choice(lines) for _ in range(self._random.randrange(4))]
        broken = [None, [], {"offset": offset}, {"offset": 0, "content": [1]}]
        return self._random.choice([{"offset": offset, "content": content}] * 4 + broken)

    def _upload(self) -> Made:
        body = self._random.randbytes(self._random.choice([0, 1, 100, 5000]))
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        wrong = ["0" * 32, "..", digest.upper(), digest + "0", "%2e%2e%2fx"]
        digest = self._random.choice([digest] * 3 + wrong)
        number = self._random.choice(["1", "2", "99", "-1", "x", str(2**63), "9" * 400])
        paths = [f"/upload/blob/{digest}", f"/upload/run/{number}/{self._name()}"]
        path = self._random.choice(paths)
        return Made("PUT", self._signed("PUT", path), body)

    def _download(self) -> Made:
        digest = self._random.choice(["d41d8cd98f00b204e9800998ecf8427e", "0" * 32, "..", "x"])
        name = self._name()
        path = f"/download/{digest}/{name}"
        other = f"/artifactsV2/default/local/p/c/b/{digest}/{name}"
        ranges = ["bytes=0-", "bytes=5-1", "bytes=-5", "bytes=a", "x", "bytes=" + "0-1," * 200]
        headers = {"Range": self._random.choice(ranges)} if self._random.random() < 0.5 else {}
        method = self._random.choice(["GET", "GET", "HEAD", "OPTIONS", "POST"])
        target = [self._signed("GET", path), _quoted(other), _quoted("/" + name)]
        return Made(method, self._random.choice(target), headers=headers)

    def _page(self) -> Made:
        places = ["", "/runs/r", "/runs.csv", "/compare", "/artifacts", "/sweeps", "/search"]
        places += [
            f"/artifacts/dataset/t{self.rows}/v0{end}" for end in ("", "/changes", "/files/x")
        ]
        start = f"/{self._name() if self._is_wild() else 'local'}/p"
        path = _quoted(start + self._random.choice(places))
        values = [*_EXPRESSIONS, self._name(), str(self._random.choice(_NUMBERS))]
        query = "&".join(
            f"{self._random.choice(_PAGE_KEYS)}={_quoted(self._random.choice(values))}"
            for _ in range(self._random.randrange(4))
        )
        return Made("GET", f"{path}?{query}", headers={"Accept": "text/html"})

    def _signed(self, method: str, path: str) -> str:
        quoted = _quoted(path)
        good = self._signer.sign(subject(method, unquote(quoted)), 60)
        token = self._random.choice([good] * 8 + ["", ".", "1.x", good[:-1], "9" * 5000])
        return f"{quoted}?token={token}"

    def _spoil(self, text: str) -> str:
        at = self._random.randrange(len(text) + 1)
        other = self._random.choice(["", "{", "\0", '"', "$", "\U0001f4a5"])
        return text[:at] + other + text[at + 1 :]


def _quoted(path: str) -> str:
    return quote(path, errors="replace")


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode().replace("\r", "").replace("\n", "")


def _declare(name: str, kind: GraphQLType, arguments: _Arguments) -> str:
    variable = f"v{len(arguments)}"
    arguments[variable] = (name, kind)
    return variable
