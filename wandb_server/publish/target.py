"""The server that is published to, as the SDK's public interface shows it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from wandb_server.keys import is_current
from wandb_server.publish.plan import TargetRun, TargetVersion
from wandb_server.server_error import ServerError

# What a user may have set to reach the target. All else, such as a run id or a project in the
# environment, would end up in the runs that are published.
_KEPT = (
    "WANDB_API_KEY",
    "WANDB_CONFIG_DIR",
    "WANDB_CREDENTIALS_FILE",
    "WANDB_ERROR_REPORTING",
    "WANDB_HTTP_TIMEOUT",
    "WANDB_IDENTITY_TOKEN_FILE",
    "WANDB_INIT_TIMEOUT",
    "WANDB_INSECURE_DISABLE_SSL",
)
_KEPT_BEGINNINGS = ("WANDB__", "WANDB_SERVER_")


def point_sdk(
    environment: Mapping[str, str], folder: Path, url: str, scratch: Path
) -> dict[str, str]:
    """Make the environment in which the SDK talks to the target only.

    The key of the source's own data folder, as `env` exports it, is left out: it is no
    other server's business.

    Args:
        environment: The process's own.
        folder: Data folder of the source.
        url: Base address of the target.
        scratch: Folder for what the SDK writes.

    Returns:
        Variables by name.

    Raises:
        ServerError: The address isn't one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerError(f"--to {url!r} is no address: give one such as https://api.wandb.ai")
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("WANDB_") or name in _KEPT or name.startswith(_KEPT_BEGINNINGS)
    }
    if is_current(folder, kept.get("WANDB_API_KEY", "")):
        del kept["WANDB_API_KEY"]
    folders = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR")
    own = {"WANDB_BASE_URL": url.rstrip("/"), "WANDB_SILENT": "true"}
    return kept | own | dict.fromkeys(folders, str(scratch))


def load_sdk(environment: Mapping[str, str]) -> ModuleType:
    """Import the SDK in this environment, which becomes the process's own.

    Raises:
        ServerError: It isn't installed, or too old.
    """
    os.environ.clear()
    os.environ.update(environment)
    try:
        import wandb
    except ModuleNotFoundError as error:
        raise ServerError(
            "publishing goes through the W&B SDK, which isn't installed here: pip install wandb"
        ) from error
    public = wandb.apis.public.Run
    if not hasattr(public, "console_logs") or not hasattr(wandb.Run, "write_logs"):
        raise ServerError(
            f"wandb {wandb.__version__} can't read and write console lines, which publishing "
            "does: pip install 'wandb>=0.31'"
        )
    return wandb


@dataclass(frozen=True)
class Target:
    """A project of the target, which need not exist yet; `api` is the SDK's `Api`."""

    api: Any
    url: str
    entity: str
    project: str

    @property
    def path(self) -> str:
        """`entity/project`."""
        return f"{self.entity}/{self.project}"

    def exists(self) -> bool:
        """Tell whether the project exists."""
        return any(item.name == self.project for item in self.api.projects(self.entity))

    def run_ids(self) -> set[str]:
        """List the ids of the project's runs."""
        return {run.id for run in self.api.runs(self.path, per_page=1000)}

    def run(self, name: str) -> Any:
        """Give a run as the SDK's `Run`, read anew."""
        self.api.flush()
        return self.api.run(f"{self.path}/{name}")

    def describe_run(self, name: str) -> TargetRun:
        """Read what the project holds of a run."""
        run = self.run(name)
        last_step = run.lastHistoryStep
        rows = run.scan_history(page_size=1) if last_step >= 0 else []
        first: dict[str, Any] = next(iter(rows), {})
        return TargetRun(
            state=run.state,
            first=first.get("_timestamp"),
            last_step=last_step,
            console_lines=sum(1 for _ in run.console_logs()),
            config=dict(run.config),
            summary=dict(run.summary_metrics),
            labels={
                "name": run.name,
                "group": run.group or "",
                "job_type": run.job_type or "",
                "tags": sorted(run.tags),
                "notes": run.notes or "",
            },
            digests={file.name: file.md5 for file in run.files()},
        )

    def versions(
        self, names: Mapping[str, str], project: str | None = None
    ) -> dict[str, dict[str, TargetVersion]]:
        """List the versions of collections.

        Args:
            names: Types by the names of collections.
            project: Of the same entity, which need not exist; None takes this project.

        Returns:
            Versions by digest, by the name of the collection; those that exist only.
        """
        found = {}
        for name, kind in names.items():
            path = f"{self.entity}/{project or self.project}/{name}"
            if self.api.artifact_collection_exists(path, kind):
                found[name] = {
                    item.digest: TargetVersion(item.id, item.source_qualified_name)
                    for item in self.api.artifacts(kind, path, per_page=1000)
                }
        return found


def connect(sdk: ModuleType, url: str, entity: str | None, project: str) -> Target:
    """Check the target and the key, before anything is sent.

    Args:
        sdk: The package wandb, in the environment that `point_sdk` makes.
        url: Base address of the target.
        entity: Entity there; None takes the default one.
        project: Name of the project there.

    Raises:
        ServerError: No server answers, it refuses the key, or the entity isn't the user's.
    """
    advice = f"set WANDB_API_KEY to a key of {url}, or: wandb login --host={url}"
    try:
        api = sdk.Api(overrides={"base_url": url.rstrip("/")})
        viewer = api.viewer
    except (sdk.Error, ValueError, OSError) as error:
        raise ServerError(
            f"nothing was sent: {error}\nIs the address right? If so, {advice}"
        ) from error
    own = sorted({name for name in (viewer.entity, viewer.username, *viewer.teams) if name})
    chosen = entity or api.default_entity
    if chosen not in own:
        raise ServerError(
            f"nothing was sent: {chosen!r} is none of your entities at {url}, which are "
            f"{', '.join(own)}: give one of them as --entity"
        )
    return Target(api, url.rstrip("/"), chosen, project)
