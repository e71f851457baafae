"""Collects the GraphQL documents that the installed SDK can send."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import wandb
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
    print_ast,
)

_SDK = Path(wandb.__file__).parent
_START = re.compile(r"\s*(#graphql\s*)?(query|mutation|fragment)\s+\w+")
_LIKELY = re.compile(r"(query|mutation|fragment)\s+\w+\s*([({]|on\b)")
_CORE = re.compile(rb"(?:query|mutation|fragment) [A-Z]\w+ (?:on \w+ )?[({]")


@cache
def sdk_documents(sdk: Path = _SDK) -> dict[str, DocumentNode]:
    """Documents by "where:name": generated modules, strings in modules, the core program."""
    documents: dict[str, DocumentNode] = {}
    for path in sorted(sdk.rglob("*.py")):
        for text in _texts(path):
            _add(documents, str(path.relative_to(sdk)), text)
    core = next((sdk / "bin").glob("wandb-core*")).read_bytes()
    texts = [_balanced(core, found.start()) for found in _CORE.finditer(core)]
    fragments = [text for text in texts if text.startswith("fragment")]
    for text in texts:
        if not text.startswith("fragment"):
            _add(documents, "wandb-core", text + "\n" + _needed(text, fragments))
    return documents


def _texts(path: Path) -> Iterator[str]:
    """Strings of a module that are whole documents; names of fragments inside are filled in."""
    source = path.read_text(encoding="utf-8")
    if not _LIKELY.search(source):  # most modules, and to take one apart takes long
        return
    nodes = list(ast.walk(ast.parse(source)))
    fragments = "\n".join(
        node.value
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("fragment ")
    )
    joined = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    inner = {id(part) for node in joined for part in node.values}
    for node in nodes:
        text = _literal(node, inner)
        if text is not None and _START.match(text) and "{" in text:
            yield text if "_generated" in str(path) else text + "\n" + _needed(text, [fragments])


def _literal(node: ast.AST, inner: set[int]) -> str | None:
    """The text of a string; what an f-string fills in is left open, and tried below."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else "\0" for part in node.values
        )
    return None


def _add(documents: dict[str, DocumentNode], where: str, text: str) -> None:
    """Parse a document; templates that Python completes at run time are completed here."""
    for variant in _variants(text):
        try:
            document = parse(variant)
        except GraphQLSyntaxError:
            continue
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode) and definition.name:
                name = f"{where}:{definition.name.value}"
                documents[f"{name}#{len(documents)}"] = document
        return


def _variants(text: str) -> Iterator[str]:
    text = text.replace("_PROJECT_QUERY_", "project { id name entity { id name } }")
    yield text
    braces = text.replace("{{", "{").replace("}}", "}")
    for template in (text, braces):
        spread = re.sub(r"\.\.\.\s*\0", "...RunFragment", template)
        for filler in ("", "history"):
            yield spread.replace("\0", filler).replace("{}", filler)


def _balanced(data: bytes, start: int) -> str:
    depth = 0
    for index in range(start, min(start + 20_000, len(data))):
        depth += {b"{": 1, b"}": -1}.get(data[index : index + 1], 0)
        if depth == 0 and data[index : index + 1] == b"}":
            return data[start : index + 1].decode()
    return ""


@cache
def _fragments(source: str) -> dict[str, FragmentDefinitionNode]:
    """The fragments in a text, by name; none in one that isn't GraphQL."""
    try:
        definitions = parse(source).definitions
    except GraphQLSyntaxError:
        return {}
    found = [item for item in definitions if isinstance(item, FragmentDefinitionNode)]
    return {item.name.value: item for item in found}


def _needed(text: str, sources: list[str]) -> str:
    """The fragments that a document spreads, taken from the sources."""
    known: dict[str, FragmentDefinitionNode] = {}
    for source in sources:
        known |= _fragments(source)
    wanted = re.findall(r"\.\.\.\s*(\w+)", text.replace("\0", "RunFragment"))
    missing = [name for name in dict.fromkeys(wanted) if f"fragment {name}" not in text]
    found = [name for name in missing if name in known]
    return "\n".join(print_ast(known[name]) for name in found)
