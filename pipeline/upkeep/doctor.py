"""The tool `python -m pipeline doctor`: what would stop a run, and how to mend it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline import TELEMETRY_DECIDED
from pipeline.compose import compose_config
from pipeline.errors import ConfigError
from pipeline.root import ROOT
from pipeline.schema import EnvManager
from pipeline.upkeep import machine, services
from pipeline.upkeep.finding import Finding, Grade, conclude, fail, format_finding, ok


def examine(overrides: list[str]) -> Iterator[Finding]:
    """Look at all that a run needs; nothing is started, made or changed.

    Args:
        overrides: Keys of config.yaml that the run is to have, as main.py takes them.
    """
    yield machine.check_python()
    yield machine.check_packages(ROOT)
    yield machine.check_git(ROOT)
    yield from machine.check_variables(os.environ, telemetry_decided=TELEMETRY_DECIDED)
    yield from machine.check_disks(Path.cwd())
    try:
        config = compose_config(overrides)
    except ConfigError as error:
        yield fail("config", str(error), "mend config.yaml, the data set's file or the override")
        return
    yield ok("config", f"project {config.main.project_name}, target {config.dataset.target}")
    yield services.check_source(config, ROOT)
    wanted = config.main.env_manager
    manager = EnvManager.uv.value if wanted == EnvManager.auto else wanted.value
    yield machine.check_manager(manager)
    if manager in (EnvManager.uv, EnvManager.virtualenv):
        # Its mlflow takes a second to import.
        from pipeline.upkeep.step_environments import check_environments

        yield from check_environments(ROOT)
    yield from services.check_wandb(config, os.environ)
    yield services.check_store()


def doctor(overrides: list[str], say: Callable[[str], None], *, colored: bool) -> int:
    """Tell what was found.

    Args:
        overrides: Keys of config.yaml that the run is to have, as main.py takes them.
        say: Tells a person a line.
        colored: Whether the lines may have colors.

    Returns:
        0, or 1 if something would stop a run.
    """
    findings = []
    for finding in examine(overrides):
        findings.append(finding)
        say(format_finding(finding, colored=colored))
    say(f"\n{conclude(findings)}")
    return int(any(finding.grade == Grade.fail for finding in findings))
