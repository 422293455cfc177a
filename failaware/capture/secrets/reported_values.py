"""Recognizes secrets in error messages with values apart from their names: validators, databases, SQL parameters."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

NamePredicate = Callable[[str], bool]
Spans = Iterator[tuple[int, int]]

_MASKED = "[masked"
_LITERAL = re.compile(
    r"\s*(?:[bBNE]?'(?P<quoted>(?:[^'\\]++|\\.|'')*+)'|\"(?P<double>[^\"]*+)\"|(?P<other>[^,()'\"]*+))\s*(?:,|$)"
)
_LAST_NAME = re.compile(r"[\w-]+$")

_PYDANTIC = re.compile(r"^(?P<name>\w[\w.\[\]-]{0,200})\n[ ]{1,4}[^\n]{0,600}?\binput_value=", re.MULTILINE)
_INPUT_VALUE = re.compile(r"(?P<value>[^\n]{1,400}?)(?=, input_type=|\]|$)", re.MULTILINE)
_LOCATION = re.compile(r"\bloc\\{0,7}[\"']\s?:\s?[\[(](?P<names>[^\])]{1,200})[\])]")
_INPUT = re.compile(
    r"(?:(?!\bloc\b).){0,400}?\binput\\{0,7}[\"']\s?:\s?b?(?P<mark>\\{0,7}[\"'])(?P<value>.{1,400}?)(?=(?P=mark))",
    re.DOTALL,
)
_KEY = re.compile(r"\bKey \((?P<names>[^()]{1,200})\)=\((?P<values>[^()\n]{1,2000})\)")
_DUPLICATE = re.compile(r"Duplicate entry '(?P<value>[^'\n]{3,1000})' for key '(?P<name>[^'\n]{1,200})'")
_INSERT = re.compile(
    r"(?i:\binsert\s+into\s+\S{1,128}\s*\((?P<names>[^()]{1,1000})\)\s*values\s*)\((?P<values>(?:[^()']++|'[^']*+'){1,400})\)"
)
_STATEMENT = re.compile(
    r"\[SQL: (?P<sql>(?:(?!\[SQL: ).){1,4000}?)\]\s{0,4}\[parameters: [\[(](?P<values>[^\n]{1,4000}?)[\])]\]", re.DOTALL
)
_COMPARED = re.compile(r"(?P<name>\w{1,100})\s?(?:=|<>|!=)\s?(?:\?|%s|\$\d)")
_PLACEHOLDER = re.compile(r"\?|%s|\$\d")
_INSERTED = re.compile(r"(?i:\binsert\s+into\s+\S{1,128}\s*)\((?P<names>[^()]{1,1000})\)\s*(?i:values)")


class Report(NamedTuple):
    """`find` is called only if `hint` is in the lower-case text."""

    hint: str
    find: Callable[[str, NamePredicate], Spans]


def _last_name(path: str) -> str:
    match = _LAST_NAME.search(path.strip(" \"'\\`"))
    return match[0] if match else ""


def _pydantic(text: str, is_secret_name: NamePredicate) -> Spans:
    for match in _PYDANTIC.finditer(text):
        value = _INPUT_VALUE.match(text, match.end())
        if value and value["value"][:1] in "'\"b" and is_secret_name(_last_name(match["name"])):
            start = match.end() + value["value"].find(value["value"].lstrip("b")[0]) + 1
            yield start, value.end() - (value["value"][-1] in "'\"")


def _located(text: str, is_secret_name: NamePredicate) -> Spans:
    """Yield secrets in `'loc': ('body', 'password'), …, 'input': 'X'`, as in Pydantic and FastAPI."""
    for match in _LOCATION.finditer(text):
        if is_secret_name(_last_name(match["names"].rsplit(",", 1)[-1])):
            value = _INPUT.match(text, match.end())
            if value:
                yield value.span("value")


def _unique(text: str, is_secret_name: NamePredicate) -> Spans:
    """Yield secrets in `Key (token)=(X) already exists.`, as in PostgreSQL."""
    for match in _KEY.finditer(text):
        names, values = match["names"].split(", "), match["values"].split(", ")
        if len(names) != len(values) and any(map(is_secret_name, names)):
            yield match.span("values")
            continue
        start = match.start("values")
        for name, value in zip(names, values, strict=False):
            if is_secret_name(name):
                yield start, start + len(value)
            start += len(value) + 2


def _duplicate(text: str, is_secret_name: NamePredicate) -> Spans:
    for match in _DUPLICATE.finditer(text):
        if is_secret_name(
            re.sub(r"(?i:^(?:uniq(?:ue)?|uk|idx|ix)_|_(?:uniq(?:ue)?|uk|idx|ix|key)$)", "", _last_name(match["name"]))
        ):
            yield match.span("value")


def _inserted(text: str, is_secret_name: NamePredicate) -> Spans:
    for match in _INSERT.finditer(text):
        names = [_last_name(name) for name in match["names"].split(",")]
        yield from _of_secrets(text, names, match.span("values"), is_secret_name)


def _parameters(text: str, is_secret_name: NamePredicate) -> Spans:
    """Yield secrets among the positional parameters of a statement, as in SQLAlchemy."""
    for match in _STATEMENT.finditer(text):
        inserted = _INSERTED.search(match["sql"])
        if inserted:
            names = [_last_name(name) for name in inserted["names"].split(",")]
        else:
            compared = {column.end(): column["name"] for column in _COMPARED.finditer(match["sql"])}
            names = [compared.get(mark.end(), "") for mark in _PLACEHOLDER.finditer(match["sql"])]
        yield from _of_secrets(text, names, match.span("values"), is_secret_name)


def _of_secrets(text: str, names: list[str], span: tuple[int, int], is_secret_name: NamePredicate) -> Spans:
    """Yield the literals in a list of values whose name, at the same position in `names`, is that of a secret."""
    position, end = span
    for name in names:
        match = _LITERAL.match(text, position, end)
        if match is None or match.end() == position:
            return
        group = match.lastgroup or "other"
        if group != "other" and is_secret_name(name) and len(match[group]) >= 3:
            yield match.span(group)
        position = match.end()


_REPORTS = (
    Report("input_value=", _pydantic),
    Report("loc", _located),
    Report(")=(", _unique),
    Report("duplicate entry", _duplicate),
    Report("[sql: ", _parameters),
    Report("insert", _inserted),
)


def reported_values(text: str, lower: str, is_secret_name: NamePredicate) -> Spans:
    """Yield where values begin and end that an error message reports under the name of a secret."""
    for report in _REPORTS:
        if report.hint in lower:
            for start, end in report.find(text, is_secret_name):
                if _MASKED not in text[start : min(end, start + 64)]:
                    yield start, end
