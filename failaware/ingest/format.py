"""Formats of records as data: how a format is recognized, which records are failures, and what their fields mean.

    name = "pino"
    keys = ["level", "time", "pid", "hostname"]     # or patterns = ['''(?P<time>…) (?P<level>…) (?P<message>…)''']
    failure = "level >= `50`"

    [map]
    type = "name"
    error.message = "err.message || msg"

The values of `failure`, `when` and `[map]` are JMESPath expressions. docs/integrations/formats.md describes all fields.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

from failaware.errors import UsageError
from failaware.ingest.expressions import Evaluate, compiled

FIELDS = (
    *("type", "key", "source", "occurred_at", "fingerprint", "level", "payload"),
    *("error.type", "error.message", "error.traceback"),
)
"""What an expression can be given for, under [map]."""

UNWRAP = ("text", "stream", "time", "partial", "type", "source")
"""What an expression can be given for, under [unwrap]."""

_TABLES = {"map": FIELDS, "unwrap": UNWRAP, "join": ("by", "text", "until")}
_SETTINGS: dict[str, type] = {
    "name": str,
    "title": str,
    "keys": list,
    "when": str,
    "patterns": list,
    "resembles": str,
    "failure": str,
}
_SETTINGS |= {
    "each": str,
    "omit": list,
    "levels": dict,
    "unique": bool,
    "lines": str,
    "fallback_type": str,
    **dict.fromkeys(_TABLES, dict),
}
LINES = ("any", "stack", "one")
"""Which lines belong to a record of text after its first one: all that begin no record, those of a stack, none."""

_CONDITIONS: tuple[str, ...] = ("failure", "when", "each")
_SUFFIX = ".toml"


class Pattern:
    """A regular expression for the beginning of a line, compiled when it is first used: a file of JSON needs none."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def match(self) -> Callable[[str], re.Match[str] | None]:
        """Match the beginning of a line.

        Raises:
            re.error: it is not a regular expression.
        """
        return re.compile(self._text, re.DOTALL | re.VERBOSE).match


class Format(NamedTuple):
    """A format. Expressions are kept as text in `expressions`, by name, such as `failure` or `map.type`.

    See the module for what the fields mean.
    """

    name: str
    title: str
    keys: frozenset[str]
    patterns: tuple[Pattern, ...]
    expressions: Mapping[str, str]
    resembles: Pattern | None = None
    omit: tuple[str, ...] = ()
    levels: Mapping[str, str] = {}
    unique: bool = False
    lines: str = "any"
    fallback_type: str = ""

    @property
    def untyped(self) -> str:
        """The type of an event for which neither the record nor the log around it has one."""
        return self.fallback_type or self.name

    def expression(self, name: str) -> Evaluate | None:
        """Return the compiled expression of this name; None if the format has none."""
        text = self.expressions.get(name)
        return None if text is None else compiled(text)

    def with_expressions(self, more: Mapping[str, str]) -> Self:
        """Return the format with other expressions in addition or instead."""
        return self._replace(expressions={**self.expressions, **more}) if more else self

    def checked(self) -> Self:
        """Compile every expression and pattern; of a known format, they are compiled when they are used.

        Raises:
            UsageError: one is not JMESPath, or not a regular expression.
        """
        for text in self.expressions.values():
            compiled(text)
        try:
            for pattern in (*self.patterns, *([] if self.resembles is None else [self.resembles])):
                _ = pattern.match
        except re.error as error:
            raise UsageError(f"{self.name}: a pattern is not a regular expression: {error}") from None
        return self


def read_format(text: str, origin: str) -> Format:
    """Return the format of a TOML text; `origin` names it in errors.

    Raises:
        UsageError: it is not TOML, or has unknown fields.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin} is not TOML: {error}") from None
    for name, value in values.items():
        if name not in _SETTINGS:
            raise UsageError(f"{origin} has the unknown field '{name}'; fields are {', '.join(_SETTINGS)}")
        if not isinstance(value, _SETTINGS[name]):
            raise UsageError(f"{origin}: '{name}' must be a {_SETTINGS[name].__name__}")
    expressions: dict[str, str] = {name: values[name] for name in _CONDITIONS if name in values}
    for table, known in _TABLES.items():
        for name, expression in _flat(values.get(table, {})):
            if name not in known or not isinstance(expression, str):
                raise UsageError(f"{origin}: [{table}] has no field '{name}'; fields are {', '.join(known)}")
            expressions[f"{table}.{name}"] = expression
    return Format(
        name=values.get("name", origin),
        title=values.get("title", values.get("name", origin)),
        keys=frozenset(map(str, values.get("keys", []))),
        patterns=tuple(_pattern(pattern, origin) for pattern in values.get("patterns", [])),
        expressions=expressions,
        resembles=_pattern(values["resembles"], origin) if "resembles" in values else None,
        omit=tuple(map(str, values.get("omit", []))),
        levels={str(level): str(name) for level, name in values.get("levels", {}).items()},
        unique=values.get("unique", False),
        lines=_lines(values, origin),
        fallback_type=values.get("fallback_type", ""),
    )


def _lines(values: Mapping[str, Any], origin: str) -> str:
    lines = str(values.get("lines", LINES[0]))
    if lines not in LINES:
        raise UsageError(f"{origin}: 'lines' must be {' or '.join(LINES)}, not '{lines}'")
    return lines


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the entries of a table; those of `error.type = …` have that name."""
    entries: list[tuple[str, Any]] = []
    for name, value in table.items():
        entries += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return entries


def _pattern(text: Any, origin: str) -> Pattern:
    if not isinstance(text, str):
        raise UsageError(f"{origin}: a pattern is not a regular expression: {text}")
    return Pattern(text)


def names() -> list[str]:
    """Return the names of the formats that are recognized, in alphabetical order."""
    files = (entry.name for entry in _folder().iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))


def source_of(name: str) -> str:
    """Return the text of a format that is recognized: documentation, and a template to copy.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in names():
        raise UsageError(f"there is no format '{name}'; formats are {', '.join(names())}")
    return (_folder() / f"{name}{_SUFFIX}").read_text(encoding="utf-8")


@cache
def known_formats() -> tuple[Format, ...]:
    """Return the formats that are recognized by content."""
    return tuple(read_format(source_of(name), name) for name in names())


def known_format(name: str) -> Format:
    """Return a format that is recognized, by its name."""
    return next(each for each in known_formats() if each.name == name)


def load_format(name: str) -> Format:
    """Return the format in a file, or the known format of this name.

    Raises:
        UsageError: there is neither, or the file is not a format.
    """
    if name in names():
        return known_format(name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"cannot read the format {name}: {reason}; known formats are {', '.join(names())}") from None
    return read_format(text, name).checked()


def _folder() -> Path:
    return Path(__file__).with_name("formats")
