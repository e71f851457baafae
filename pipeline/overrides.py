"""Hydra overrides as they arrive from `mlflow run -P hydra_options=...` or a shell."""

import re
import shlex
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import OverrideParseException

from pipeline.errors import ConfigError, did_you_mean
from pipeline.schema import Config

FLAG = "--hydra-options"
MULTIRUN = ("-m", "--multirun")
_STEPS = ("main.execute_steps", "main.force_steps")
_QUOTED = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
# Spaces end a word, but not inside quotes.
_WORD = re.compile(rf"""(?:[^\s'"]|{_QUOTED})+""")

# "5," or ",5" or "5,,6" or "choice()".
_LACKS_VALUE = re.compile(r"^\s*,|,\s*(,|$)|^\w+\(\s*\)$")


def split_options(options: str) -> list[str]:
    r"""Split one string of overrides at its spaces; quotes protect what they hold.

    Quotes around a whole word are taken off, as a shell would; quotes inside of a word stay,
    since Hydra reads them.

    Raises:
        ConfigError: A quote is opened and not closed.

    >>> split_options("a=1 b='x, y' 'c=/a path/*'")
    ['a=1', "b='x, y'", 'c=/a path/*']
    """
    if _WORD.sub("", options).strip():
        raise ConfigError(f"hydra_options has a quote that is not closed: {options}")
    words = _WORD.findall(options)
    return [shlex.split(word)[0] if re.fullmatch(_QUOTED, word) else word for word in words]


def expand_arguments(arguments: list[str]) -> list[str]:
    """Return the arguments that Hydra is to read: options split, values quoted, keys checked.

    Args:
        arguments: Command line without the program's name; `--hydra-options TEXT` holds overrides
            separated by spaces, all else is one argument each.

    Raises:
        ConfigError: An override can't be read, or names a key that the config doesn't have.
    """
    words: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        words += split_options(next(rest, "")) if argument == FLAG else [argument]
    # Hydra's parser takes no overrides on both sides of an option.
    flags = [word for word in words if word in MULTIRUN]
    return flags + [_prepare(word, bool(flags)) for word in words if word not in MULTIRUN]


def _prepare(word: str, multirun: bool) -> str:
    if word.startswith("-") or "=" not in word:
        return word
    override = _parse(word, multirun)
    key = override.key_or_group
    mapping, _, name = key.rpartition(".")
    if override.is_add() and mapping == "dataset.columns":
        # OmegaConf takes a new rule as part of the mapping only.
        return f"+{mapping}={{{name}: {word.split('=', 1)[1]}}}"
    if key.split(".")[0] == "hydra" or "/" in key:
        if override.is_sweep_override():
            raise ConfigError(
                f"{word}: Hydra's own settings hold for a whole sweep, or for all of a run: give "
                f"{key} one value."
            )
        return word
    if override.is_delete():
        return word
    kind = type_of(key)
    # Steps separated by commas are one choice of steps, never a sweep over them; and without
    # -m there is no sweep at all, so that a comma in a text is just a comma.
    if override.is_add():
        return word
    if override.is_sweep_override() and (
        key in _STEPS or (not multirun and kind in (str, str | None))
    ):
        return _quoted(word)
    return override.input_line or word


def _parse(word: str, multirun: bool) -> Override:
    """Parse an override; a value that Hydra can't read, such as a path, is taken as a text.

    Raises:
        ConfigError: Not even that is possible, or a choice of a sweep lacks a value.
    """
    parser = OverridesParser.create()
    for candidate in (word, _quoted(word)):
        try:
            return parser.parse_overrides([candidate])[0]
        except OverrideParseException as error:
            fault = error
            if multirun and _LACKS_VALUE.search(word.split("=", 1)[1]):
                raise ConfigError(
                    f"{word} holds an empty value: give each choice one, such as a,b,c. To mean a "
                    "text with such commas, quote it."
                ) from fault
    raise ConfigError(no_override(word)) from fault


def no_override(word: str) -> str:
    """Return what to write instead of a word that isn't an override."""
    return f"{word!r} is no override: write key=value, such as main.experiment_name=trial."


def _quoted(word: str) -> str:
    key, value = word.split("=", 1)
    return f"{key}={QuotedString(text=value, quote=Quote.single).with_quotes()}"


def type_of(key: str) -> Any:
    """Return the type of the value at a dotted key; Any where the schema leaves it open.

    Raises:
        ConfigError: There is no such key.
    """
    kind: Any = Config
    for position, part in enumerate(key.split(".")):
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
            continue
        if not is_dataclass(kind):
            return Any
        names = [field.name for field in fields(kind)]
        if part not in names:
            parent = ".".join(key.split(".")[:position])
            raise ConfigError(
                f"There is no key {key!r} in the config.{did_you_mean(part, names)} "
                f"{parent or 'The config'} has {', '.join(names)}."
            )
        kind = get_type_hints(kind)[part]
    return kind
