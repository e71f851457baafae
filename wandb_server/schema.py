"""The GraphQL schema with its resolvers, built once at import."""

from pathlib import Path

from graphql import GraphQLInterfaceType, GraphQLSchema, GraphQLUnionType, build_schema

from wandb_server.artifact.records import (
    Collection,
)
from wandb_server.resolvers import (
    artifact_changes,
    artifact_logging,
    collections,
    files,
    identity,
    registries,
    run_mutations,
    runs,
    sweeps,
    versions,
)
from wandb_server.resolvers.context import attach
from wandb_server.runs import Run
from wandb_server.scalars import attach_scalars

_MODULES = (
    identity,
    registries,
    runs,
    sweeps,
    run_mutations,
    files,
    collections,
    versions,
    artifact_logging,
    artifact_changes,
)


def _collection_type(collection: Collection, *_ignored: object) -> str:
    return "ArtifactSequence" if collection.kind == "SEQUENCE" else "ArtifactPortfolio"


def _creator_type(creator: object, *_ignored: object) -> str:
    return "Run" if isinstance(creator, Run) else "User"


def _build() -> GraphQLSchema:
    text = Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8")
    # A test checks that it is valid; each start would take a tenth longer.
    schema = build_schema(text, assume_valid=True, no_location=True)
    attach_scalars(schema)
    for module in _MODULES:
        attach(schema, module.RESOLVERS)
    collection = schema.type_map["ArtifactCollection"]
    creator = schema.type_map["ArtifactCreator"]
    if isinstance(collection, GraphQLInterfaceType) and isinstance(creator, GraphQLUnionType):
        collection.resolve_type = _collection_type
        creator.resolve_type = _creator_type
    return schema


SCHEMA = _build()
