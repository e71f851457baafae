"""Every GraphQL document of the installed SDK is served, or refused with a reason."""

import re
from importlib.resources import files

import pytest
from graphql import DocumentNode, build_schema, print_ast, validate, validate_schema

from tests.server.conftest import Core
from tests.server.documents import sdk_documents
from wandb_server.graphql_endpoint import RULES
from wandb_server.lenient import strip_document
from wandb_server.schema import SCHEMA

# Operations that aren't served, by pattern, and why. Anything else must validate.
UNSERVED = {
    "launch queues need a cluster of agents": (
        r"\w*RunQueue\w*|fetchRunQueuesFromProject|\w*LaunchAgent|\w*DefaultResourceConfig"
    ),
    "there is one user": (
        r"CreateTeam|\w+Invite|CreateServiceAccount|SearchUsers|CreateUserFromAdmin|\w+ApiKey"
        r"|Registry(User|Team)Members|\w+RegistryMembers|Update(User|Team)RegistryRole"
    ),
    "automations call services outside this machine": (
        r"\w*Automation\w*|IntegrationsByEntity|CreateGenericWebhookIntegration"
    ),
    "reports and custom charts live in the web page of the cloud": (
        r"ProjectViews|CreateCustomChart"
    ),
    "the server itself is the scheduler": r"EnqueueSweepRun",
}


@pytest.fixture(scope="module")
def documents() -> dict[str, DocumentNode]:
    return sdk_documents()


def _operation(where: str) -> str:
    return where.rpartition(":")[2].partition("#")[0]


def _is_served(where: str) -> bool:
    return not any(re.fullmatch(pattern, _operation(where)) for pattern in UNSERVED.values())


def test_the_schema_is_valid_as_the_server_takes_it_to_be() -> None:
    text = (files("wandb_server") / "schema.graphql").read_text("utf-8")
    assert not validate_schema(build_schema(text))


def test_the_documents_are_found(documents: dict[str, DocumentNode]) -> None:
    operations = {_operation(where) for where in documents}
    assert len(operations) >= 112
    assert {"Runs", "Run", "UpsertBucket", "CommitArtifact", "ArtifactByID"} <= operations


def test_every_document_validates_but_for_the_listed_ones(
    documents: dict[str, DocumentNode],
) -> None:
    wrong = {
        where: [error.message for error in errors]
        for where, document in documents.items()
        if _is_served(where)
        if (errors := validate(SCHEMA, strip_document(SCHEMA, document), RULES))
    }
    assert wrong == {}


def test_every_listed_document_is_refused_by_the_name_of_its_feature(
    documents: dict[str, DocumentNode], core: Core
) -> None:
    for where, document in documents.items():
        if not _is_served(where):
            assert "this local server doesn't have" in core.error(print_ast(document)), where


def test_no_reason_is_left_without_a_document(documents: dict[str, DocumentNode]) -> None:
    operations = [_operation(where) for where in documents]
    for reason, pattern in UNSERVED.items():
        assert any(re.fullmatch(pattern, name) for name in operations), reason
