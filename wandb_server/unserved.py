"""Operations of the SDK that this server doesn't serve, and what they would be for."""

from collections.abc import Iterator

from graphql import DocumentNode, FieldNode, GraphQLError, OperationDefinitionNode

_LAUNCH = "launch queues and agents"
_TEAMS = "teams, invitations and further users"
_MEMBERS = "registry members and roles"
_AUTOMATIONS = "automations and integrations"

# The feature behind each field of Query and Mutation that is missing on purpose.
UNSERVED = {
    "createCustomChart": "custom chart presets",
    "rewindRun": "rewinding a run",
    "createRunQueue": _LAUNCH,
    "upsertRunQueue": _LAUNCH,
    "deleteRunQueues": _LAUNCH,
    "createDefaultResourceConfig": _LAUNCH,
    "pushToRunQueue": _LAUNCH,
    "pushToRunQueueByName": _LAUNCH,
    "popFromRunQueue": _LAUNCH,
    "ackRunQueueItem": _LAUNCH,
    "failRunQueueItem": _LAUNCH,
    "updateRunQueueItemWarning": _LAUNCH,
    "deleteFromRunQueue": _LAUNCH,
    "createLaunchAgent": _LAUNCH,
    "updateLaunchAgent": _LAUNCH,
    "launchAgent": _LAUNCH,
    "createTeam": _TEAMS,
    "createInvite": _TEAMS,
    "deleteInvite": _TEAMS,
    "createServiceAccount": _TEAMS,
    "createUser": _TEAMS,
    "users": _TEAMS,
    "generateApiKey": _TEAMS,
    "deleteApiKey": _TEAMS,
    "createProjectMembers": _MEMBERS,
    "deleteProjectMembers": _MEMBERS,
    "updateProjectMember": _MEMBERS,
    "updateProjectTeamMember": _MEMBERS,
    "createFilterTrigger": _AUTOMATIONS,
    "updateFilterTrigger": _AUTOMATIONS,
    "deleteTrigger": _AUTOMATIONS,
    "createGenericWebhookIntegration": _AUTOMATIONS,
}


def explain(document: DocumentNode) -> Iterator[GraphQLError]:
    """Name the features that a document asks for and that aren't here."""
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode):
            continue
        for selection in definition.selection_set.selections:
            name = selection.name.value if isinstance(selection, FieldNode) else ""
            if name in UNSERVED:
                yield GraphQLError(
                    f"{name}: this local server doesn't have {UNSERVED[name]}", selection
                )
