"""Takes from a GraphQL request the inputs that the schema doesn't know.

A newer SDK sends new input fields. Refusing them would lose the artifact that they belong to
without a word to the user, so they are dropped, and named in the log.
"""

import logging
from collections.abc import Mapping
from typing import Any

from graphql import (
    REMOVE,
    ArgumentNode,
    DocumentNode,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLType,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    get_named_type,
    type_from_ast,
    visit,
)
from graphql.language.visitor import VisitorActionEnum

_log = logging.getLogger(__name__)


def strip_document(schema: GraphQLSchema, document: DocumentNode) -> DocumentNode:
    """Drop unknown arguments and input fields, and variables that nothing uses any more."""
    types = TypeInfo(schema)
    stripped: DocumentNode = visit(document, TypeInfoVisitor(types, _Stripper(types)))
    uses = _Uses()
    visit(stripped, uses)
    for definition in stripped.definitions:
        if isinstance(definition, OperationDefinitionNode):
            definition.variable_definitions = tuple(
                variable
                for variable in definition.variable_definitions or ()
                if variable.variable.name.value in uses.names
            )
    return stripped


def strip_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Keep the variables that the operation declares, without unknown fields inside them."""
    kept = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        declared = type_from_ast(schema, definition.type)
        if name in variables:
            kept[name] = _strip(declared, variables[name])
    return kept


class _Stripper(Visitor):
    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types

    def enter_argument(self, node: ArgumentNode, *_: object) -> VisitorActionEnum | None:
        known = self._types.get_field_def()
        if known is None or self._types.get_argument() is not None:
            return None
        return _drop(node.name.value)

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> VisitorActionEnum | None:
        parent = get_named_type(self._types.get_parent_input_type())
        if not isinstance(parent, GraphQLInputObjectType) or node.name.value in parent.fields:
            return None
        return _drop(node.name.value)


class _Uses(Visitor):
    """Collects the names of the variables that are used, not just declared."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(
        self, node: VariableNode, _key: object, parent: Node | None, *_: object
    ) -> None:
        if getattr(parent, "kind", "") != "variable_definition":
            self.names.add(node.name.value)


def _drop(name: str) -> VisitorActionEnum:
    _log.debug("dropped the unknown input %s", name)
    return REMOVE


def _strip(declared: GraphQLType | None, value: Any) -> Any:
    if isinstance(declared, GraphQLNonNull):
        return _strip(declared.of_type, value)
    if isinstance(declared, GraphQLList) and isinstance(value, list):
        return [_strip(declared.of_type, item) for item in value]
    if not isinstance(declared, GraphQLInputObjectType) or not isinstance(value, dict):
        return value
    for name in value.keys() - declared.fields.keys():
        _log.debug("dropped the unknown input %s of %s", name, declared.name)
    return {
        name: _strip(declared.fields[name].type, item)
        for name, item in value.items()
        if name in declared.fields
    }
