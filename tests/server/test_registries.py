"""Registries through the real SDK: made, linked into, listed, searched, renamed, deleted."""

from types import ModuleType
from typing import Any

import pytest

from tests.server.client import create
from tests.server.conftest import Core


@pytest.fixture(scope="module")
def registry(wandb: ModuleType) -> Any:
    """A registry that holds a link to one version of two."""
    registry = wandb.Api().create_registry("models", visibility="organization", description="ours")
    with wandb.init(project="registries") as run:
        for number in range(2):
            model = wandb.Artifact("forest", "model", metadata={"depth": number})
            with model.new_file("model.txt") as file:
                file.write(str(number))
            run.log_artifact(model).wait()
        run.link_artifact(model, "wandb-registry-models/best", aliases=["prod"])
        run.link_artifact(run.use_artifact("forest:v0"), "wandb-registry-models/first")
    return registry


@pytest.mark.usefixtures("registry")
def test_the_users_organization_holds_the_registry(wandb: ModuleType) -> None:
    api = wandb.Api()
    organization = api.organization()
    assert (organization.name, organization.org_entity.entity_type) == ("local", "organization")
    loaded = api.registry("models")
    assert (loaded.organization, loaded.description) == ("local", "ours")
    assert loaded.visibility == "organization"
    assert loaded.allow_all_artifact_types


def test_an_unknown_organization_is_named_in_the_error(wandb: ModuleType) -> None:
    with pytest.raises(wandb.errors.CommError, match="'nobody' not found"):
        wandb.Api().organization("nobody")


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"name": "models"}, ["models"]),
        ({"name": {"$regex": "odel"}}, ["models"]),
        ({"description": "theirs"}, []),
    ],
)
def test_registries_are_found_by_filter(
    wandb: ModuleType, wanted: dict[str, Any], found: list[str]
) -> None:
    assert [item.name for item in wandb.Api().registries(filter=wanted)] == found


def test_collections_are_found_and_ordered(registry: Any) -> None:
    names = [item.name for item in registry.collections(order="-name")]
    assert names == ["first", "best"]
    assert [item.name for item in registry.collections({"name": "best"})] == ["best"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"alias": "prod"}, ["best:v0"]),
        ({"alias": "staging"}, []),
        ({"metadata.depth": {"$lt": 1}}, ["first:v0"]),
    ],
)
def test_versions_are_found_by_filter(
    registry: Any, wanted: dict[str, Any], found: list[str]
) -> None:
    assert [item.name for item in registry.versions(wanted)] == found


@pytest.mark.usefixtures("registry")
def test_a_projects_collections_and_versions_are_filtered_and_ordered(wandb: ModuleType) -> None:
    project = wandb.Api().project("registries")
    assert [item.name for item in project.collections({"name": "forest"})] == ["forest"]
    assert [item.name for item in project.collections({"name": "tree"})] == []
    (forest,) = project.collections(order="name")
    assert [item.name for item in forest.artifacts()] == ["forest:v1", "forest:v0"]


def test_versions_come_in_the_order_of_their_links(registry: Any) -> None:
    assert [item.name for item in registry.versions(order="-linked_at")] == ["first:v0", "best:v0"]
    assert [item.name for item in registry.versions(order="linked_at")] == ["best:v0", "first:v0"]


@pytest.mark.usefixtures("registry")
def test_a_link_leads_to_its_source(wandb: ModuleType) -> None:
    linked = wandb.Api().artifact("wandb-registry-models/best:prod")
    assert linked.is_link
    assert linked.source_qualified_name == "local/registries/forest:v1"
    assert len(linked.files()) == 1


@pytest.mark.usefixtures("registry")
def test_a_registry_takes_no_type_but_its_own(wandb: ModuleType) -> None:
    wandb.Api().create_registry("tables", visibility="restricted", artifact_types=["dataset"])
    with (
        wandb.init(project="registries") as run,
        pytest.raises(wandb.errors.CommError, match="type 'model': it takes dataset"),
    ):
        run.link_artifact(run.use_artifact("forest:v0"), "wandb-registry-tables/any")


@pytest.mark.usefixtures("registry")
def test_a_link_makes_no_registry_but_the_two_that_w_and_b_gives(wandb: ModuleType) -> None:
    version = wandb.Api().artifact("registries/forest:v0")
    with pytest.raises(wandb.errors.CommError, match=r"no registry 'modles'.*create_registry"):
        version.link("wandb-registry-modles/best")
    version.link("wandb-registry-model/best")
    names = {item.name for item in wandb.Api().registries()}
    wandb.Api().registry("model").delete()  # the other tests count registries
    assert "model" in names
    assert "modles" not in names


def test_a_registry_is_changed_and_deleted(wandb: ModuleType) -> None:
    api = wandb.Api()
    registry = api.create_registry("draft", visibility="restricted")
    registry.name, registry.description = "final", "done"
    registry.save()
    assert api.registry("final").description == "done"
    with pytest.raises(ValueError, match="already exists"):
        api.create_registry("final", visibility="restricted")
    registry.delete()
    with pytest.raises(ValueError, match="Failed to load registry 'final'"):
        api.registry("final")


RENAME = """mutation ($o: String!, $n: String!) {
    renameProject(input: {entityName: "local", oldProjectName: $o, newProjectName: $n}) { inserted }
}"""
DELETE = "mutation ($i: String!) { deleteModel(input: {id: $i}) { success } }"
MAKE = """mutation ($n: String!, $a: String) {
    upsertModel(input: {name: $n, access: $a}) { project { id } }
}"""
ORDER = """query ($o: String) { entity { projects(order: $o) { edges { node { name } } } } }"""


def test_a_project_is_not_renamed_over_another(core: Core) -> None:
    core.data(MAKE, n="one")
    core.data(MAKE, n="two")
    assert "exists already" in core.error(RENAME, o="one", n="two")
    assert "there is no project" in core.error(RENAME, o="three", n="four")


def test_only_registries_without_artifacts_of_their_own_are_deleted(core: Core) -> None:
    plain = core.data(MAKE, n="plain")["upsertModel"]["project"]["id"]
    assert "isn't a registry" in core.error(DELETE, i=plain)
    full = core.data(MAKE, n="wandb-registry-full")["upsertModel"]["project"]["id"]
    create(core.data, "wandb-registry-full", {"a.txt": b"a"})
    assert "delete those first" in core.error(DELETE, i=full)


def test_what_cannot_be_served_is_refused_by_name(core: Core) -> None:
    assert "must be one of PRIVATE" in core.error(MAKE, n="wandb-registry-x", a="OPEN")
    core.data(MAKE, n="wandb-registry-x")
    assert "order 'size': it must be one of" in core.error(ORDER, o="-size")
