"""`POST /graphql`: one request, one transaction.

What the client got wrong is answered by 200 with `errors`, as GraphQL has it. What went wrong
here is raised, so that the app answers with a 5xx, which the SDK repeats; the transaction is
rolled back either way.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSyntaxError,
    NoUnusedVariablesRule,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    get_operation_ast,
    specified_rules,
    validate,
)
from starlette.requests import Request
from starlette.responses import Response

from wandb_server.blobs import BlobStore
from wandb_server.bodies import read_body
from wandb_server.database import Database
from wandb_server.errors import ClientError, GoneError
from wandb_server.history_files import HistoryFiles
from wandb_server.lenient import strip_document, strip_variables
from wandb_server.limits import (
    MAX_ANSWERED_FIELDS,
    BoundedExecution,
    TooCostlyError,
    parse_bounded,
)
from wandb_server.presence import IsGone, stay, watch
from wandb_server.projects import DEFAULT_ENTITY
from wandb_server.resolvers.context import Context, resolve_by_name
from wandb_server.scans import Scans
from wandb_server.schema import SCHEMA
from wandb_server.threads import in_thread
from wandb_server.unserved import explain
from wandb_server.urls import Urls

# Where an application around this one, such as that of the SDK's own tests, may put the name of
# the user into the ASGI scope. No request can set it; without it there is the one user.
USER_SCOPE = "wandb_server.user"

# It copies gigabytes.
_PAST_DATABASE = {"completeMultipartUploadArtifact"}
RULES = [rule for rule in specified_rules if rule is not NoUnusedVariablesRule]


@dataclass(frozen=True)
class Query:
    """A GraphQL request as it arrived; `operation` is None when the document has only one."""

    text: str
    variables: dict[str, Any]
    operation: str | None


class _RejectedError(Exception):
    """Carries the client's mistakes out, past the transaction, which is rolled back."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class GraphQLEndpoint:
    """Answers GraphQL requests from one database and its blobs."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs
        self._scans, self._history_files = Scans(), HistoryFiles()

    async def answer(self, request: Request, urls: Urls) -> Response:
        """Read the request, run it in the thread pool and write the answer.

        Raises:
            ClientError: The body isn't a GraphQL request.
            StorageError, OSError: The database or a file failed.
        """
        query = read_query(await read_body(request.stream()))
        shared = request.headers.get("x-wandb-use-async-filestream") == "true"
        user = request.scope.get(USER_SCOPE, DEFAULT_ENTITY)
        answer = await in_thread(
            self.execute, query, urls, shared=shared, user=user, is_gone=watch(request)
        )
        return Response(json.dumps(answer, allow_nan=False), media_type="application/json")

    def execute(
        self,
        query: Query,
        urls: Urls,
        *,
        shared: bool = False,
        user: str = DEFAULT_ENTITY,
        is_gone: IsGone = lambda: False,
    ) -> dict[str, Any]:
        """Run a GraphQL request.

        Args:
            query: The request.
            urls: Makes the addresses in the answer.
            shared: Whether several processes write to the same run.
            user: Name of who asks.
            is_gone: Tells whether the client has hung up.

        Returns:
            `{"data": ...}`, or `{"data": null, "errors": [...]}` where the client is wrong.

        Raises:
            ClientError: The query or its answer is too large.
            ClientDisconnect: The client hung up before its turn to change something came.
        """
        surround = partial(
            Context,
            blobs=self._blobs,
            urls=urls,
            scans=self._scans,
            history_files=self._history_files,
            shared=shared,
            user=user,
        )
        try:
            document = _prepare(query.text)
            operation = _pick_operation(document, query)
            return self._run(document, operation, query, surround, is_gone)
        except _RejectedError as rejected:
            return {"data": None, "errors": [error.formatted for error in rejected.errors]}
        except TooCostlyError as error:
            raise ClientError(
                f"the answer has over {MAX_ANSWERED_FIELDS} fields: ask for smaller pages"
            ) from error

    def _run(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        query: Query,
        surround: Callable[[sqlite3.Connection], Context],
        is_gone: IsGone,
    ) -> dict[str, Any]:
        writes = operation.operation is OperationType.MUTATION and not _is_past_database(operation)
        with self._database.write() if writes else self._database.read() as connection:
            stay(is_gone)
            result = execute_sync(
                SCHEMA,
                document,
                context_value=surround(connection),
                variable_values=strip_variables(SCHEMA, operation, query.variables),
                operation_name=query.operation,
                field_resolver=resolve_by_name,
                execution_context_class=BoundedExecution,
            )
            _raise_errors(result)
        return {"data": result.data}


def read_query(body: bytes) -> Query:
    """Read the body of a request.

    Raises:
        ClientError: It isn't the JSON of a GraphQL request.
    """
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise ClientError(f"the body isn't valid JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("query"), str):
        raise ClientError("the body has no query: send {query, variables, operationName}")
    variables = fields.get("variables") or {}
    operation = fields.get("operationName") or None  # the SDK sends "" for "none"
    if not isinstance(variables, dict) or not isinstance(operation, str | None):
        raise ClientError("variables must be an object, and operationName a string")
    return Query(fields["query"], variables, operation)


@lru_cache(maxsize=512)
def _prepare(text: str) -> DocumentNode:
    """Parse and validate a document once; the SDK sends the same ones over and over.

    What is refused isn't kept, so that nobody fills the memory with it.
    """
    try:
        document = strip_document(SCHEMA, parse_bounded(text))
    except GraphQLSyntaxError as error:
        raise _RejectedError([error]) from error
    errors = validate(SCHEMA, document, RULES)
    if errors:
        raise _RejectedError(explain(errors) or errors)
    return document


def _pick_operation(document: DocumentNode, query: Query) -> OperationDefinitionNode:
    operation = get_operation_ast(document, query.operation)
    if operation is None:
        raise _RejectedError([GraphQLError(f"there is no operation {query.operation!r}")])
    return operation


def _is_past_database(operation: OperationDefinitionNode) -> bool:
    """Tell whether a mutation changes files only: others needn't wait until it is done."""
    return all(
        isinstance(field, FieldNode) and field.name.value in _PAST_DATABASE
        for field in operation.selection_set.selections
    )


def _raise_errors(result: ExecutionResult) -> None:
    """Raise a fault of ours as it is, and the client's mistakes together."""
    errors = result.errors or []
    for error in errors:
        original = error.original_error
        is_ours = original is not None and not isinstance(original, (ClientError, GraphQLError))
        if original is not None and (is_ours or isinstance(original, GoneError)):
            raise original
    if errors:
        raise _RejectedError(errors)
