"""The configuration of a sweep: read and checked."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wandb_server.errors import ClientError
from wandb_server.sweeps.hyperband import Hyperband, read_hyperband
from wandb_server.sweeps.parameters import Parameter, find_oddities, is_number, read_parameters

_METHODS = ("grid", "random", "bayes")
_GOALS = ("minimize", "maximize")
_IMPUTE = ("worst", "best", "latest")
# Keys that mean something; "project" and the like are for the client.
_KEYS = {
    *("apiVersion", "kind", "name", "description", "entity", "project", "settings"),
    *("program", "command", "controller", "job", "image_uri"),
    *("method", "metric", "parameters", "run_cap", "early_terminate"),
}
_METRIC_KEYS = {"name", "goal", "target", "impute", "impute_while_running"}


@dataclass(frozen=True)
class Metric:
    """What a sweep is about.

    Attributes:
        name: A key of the runs' history and summary.
        maximize: Whether more is better.
        target: Value at which the sweep has what it wants; None goes on.
        impute: What stands for the value of a run that failed: worst (of all runs), best or
            latest (of its own).
        impute_while_running: The same for a run at work; None waits for its end.
    """

    name: str
    maximize: bool
    target: float | None
    impute: str
    impute_while_running: str | None


@dataclass(frozen=True)
class SweepConfig:
    """What a sweep is asked to do.

    `run_cap` None means no limit but the grid's own; `program` is for the agent's command, `name`
    for people.
    """

    method: str
    parameters: list[Parameter]
    metric: Metric | None
    early_terminate: Hyperband | None
    run_cap: int | None
    program: str | None
    name: str


@lru_cache(maxsize=32)
def parse_config(text: str) -> SweepConfig:
    """Read and check a configuration.

    Args:
        text: YAML as the SDK sends it.

    Raises:
        ClientError: It asks for what this server can't do; the message says what it can.
    """
    fields = _load(text)
    method = _read_method(fields)
    metric = _read_metric(fields.get("metric"))
    stopping = read_hyperband(fields.get("early_terminate"))
    for wish, stands in (("method: bayes", method == "bayes"), ("early_terminate", stopping)):
        if stands and metric is None:
            raise ClientError(f"sweep config: {wish} needs a metric: {{name: ..., goal: ...}}")
    return SweepConfig(
        method=method,
        parameters=read_parameters(fields.get("parameters"), method),
        metric=metric,
        early_terminate=stopping,
        run_cap=_read_cap(fields.get("run_cap")),
        program=fields.get("program"),
        name=str(fields.get("name") or ""),
    )


def find_violations(text: str) -> list[str]:
    """Say what in a valid configuration is probably not what was meant, one sentence each."""
    fields = _load(text)
    return [
        *(f"there is no key {key!r}" for key in sorted(fields.keys() - _KEYS)),
        *(
            f"metric: there is no key {key!r}"
            for key in sorted((fields.get("metric") or {}).keys() - _METRIC_KEYS)
        ),
        *find_oddities(fields["parameters"]),
    ]


def _load(text: str) -> dict[str, Any]:
    """Read YAML as what JSON could hold: keys are texts, and there are no dates."""
    import yaml  # a twentieth of the server's start, and most servers see no sweep

    try:
        # A few lines of aliases would stand for more values than fit in memory.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ClientError("sweep config: write values out, YAML aliases (*name) aren't taken")
        fields = json.loads(json.dumps(yaml.safe_load(text)))
    # A day that there is not, or a number of thousands of digits, is a ValueError.
    except (yaml.YAMLError, ValueError) as error:
        raise ClientError(f"sweep config: not valid YAML: {error}") from error
    except TypeError as error:
        raise ClientError(f"sweep config: {error}; put dates and the like in quotes") from error
    if not isinstance(fields, dict):
        raise ClientError("sweep config: it needs a method and parameters")
    return fields


def _read_method(fields: dict[str, Any]) -> str:
    for key, what in (
        ("scheduler", "sweeps that a scheduler of the client runs"),
        ("metrics", "sweeps over several metrics"),
        ("controller", "sweeps that a controller of the client runs"),
    ):
        # What is said to be the server's is left to it.
        if fields.get(key) not in (None, {"type": "cloud"}):
            raise ClientError(f"sweep config: {key}: this local server doesn't have {what}")
    method = fields.get("method")
    if method not in _METHODS:
        raise ClientError(
            f"sweep config: this local server doesn't have the method {method!r}; "
            f"one of {', '.join(_METHODS)}"
        )
    return str(method)


def _read_metric(fields: object) -> Metric | None:
    if fields is None:
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("name"), str):
        raise ClientError(f"sweep config: metric needs a name, such as {{name: loss}}: {fields!r}")
    target = fields.get("target")
    if target is not None and not is_number(target):
        raise ClientError(f"sweep config: metric.target must be a number, not {target!r}")
    return Metric(
        name=fields["name"],
        maximize=_one_of("metric.goal", fields.get("goal"), _GOALS) == "maximize",
        target=target,
        impute=_one_of("metric.impute", fields.get("impute"), _IMPUTE),
        impute_while_running=_read_running(fields.get("impute_while_running")),
    )


def _read_running(value: object) -> str | None:
    # YAML reads a bare `false` as no text.
    if value in (None, False, "false"):
        return None
    return _one_of("metric.impute_while_running", value, (*_IMPUTE, "false"))


def _one_of(key: str, value: object, allowed: tuple[str, ...]) -> str:
    """Check a choice; the first one stands for what was left out."""
    if value is None:
        return allowed[0]
    if value not in allowed:
        raise ClientError(f"sweep config: {key} {value!r}: one of {', '.join(allowed)}")
    return str(value)


def _read_cap(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ClientError(f"sweep config: run_cap must be a whole number above 0, not {value!r}")
    return value
