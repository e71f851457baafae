"""Operations of the SDK that this server doesn't serve, and what they would be for."""

from collections.abc import Iterable

from graphql import FieldNode, GraphQLError

_LAUNCH = "launch queues and agents"
_TEAMS = "teams, invitations and further users"
_MEMBERS = "registry members and roles"
_AUTOMATIONS = "automations and integrations"
_OLD = "what the Python side of wandb before 0.29 asked for and no longer needs"

# The feature behind each field that is missing on purpose.
UNSERVED = {
    "runInfo": _OLD,
    "buckets": _OLD,
    "repo": _OLD,
    "dockerImage": _OLD,
    "uploadHeaders": _OLD,
    "createArtifactType": _OLD,
    "createCustomChart": "custom chart presets",
    "allViews": "reports",
    "enqueueSweepRun": "sweeps that a scheduler of the client runs",
    "runQueue": _LAUNCH,
    "runQueues": _LAUNCH,
    "defaultResourceConfig": _LAUNCH,
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
    "members": _MEMBERS,
    "teamMembers": _MEMBERS,
    "createProjectMembers": _MEMBERS,
    "deleteProjectMembers": _MEMBERS,
    "updateProjectMember": _MEMBERS,
    "updateProjectTeamMember": _MEMBERS,
    "triggers": _AUTOMATIONS,
    "integrations": _AUTOMATIONS,
    "createFilterTrigger": _AUTOMATIONS,
    "updateFilterTrigger": _AUTOMATIONS,
    "deleteTrigger": _AUTOMATIONS,
    "createGenericWebhookIntegration": _AUTOMATIONS,
}


def explain(errors: Iterable[GraphQLError]) -> list[GraphQLError]:
    """Pick the errors that stand for a feature that isn't here, and name the feature."""
    return [
        GraphQLError(f"{node.name.value}: this local server doesn't have {feature}", node)
        for error in errors
        for node in error.nodes or ()
        if isinstance(node, FieldNode)
        if (feature := UNSERVED.get(node.name.value))
    ]
