"""JSON text: indented or parsed, with every number, name and escape as it was written. Pure."""

import json
import re
from collections.abc import Iterator
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]
from typing import Any

from failaware.errors import PayloadError, UsageError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_INDENT = "  "
_BLANK = frozenset((" ", "\t", "\r", "\n"))
_decode = json.JSONDecoder(parse_constant=lambda name: _refuse(f"{name} is not JSON")).raw_decode


def indented(text: str) -> str:
    """Return the text indented, one member per line; unchanged if it is not JSON or nested too deeply."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    parts: list[str] = []
    depth, opened = 0, False
    for piece in _TOKEN.findall(text):
        if piece in "]}":
            depth -= 1
            parts.append(piece if opened else f"\n{_INDENT * depth}{piece}")
            opened = False
            continue
        if opened:
            parts.append(f"\n{_INDENT * depth}")
        opened = piece in "[{"
        depth += opened
        parts.append({",": f",\n{_INDENT * depth}", ":": ": "}.get(piece, piece))
    return "".join(parts)


class Number(float):
    """A number of a JSON text, and how it was written: `1.10`, `1e999`, more digits than a float has."""

    written: str


def read_as_written(text: str) -> Any:
    """Decode a JSON text; each number that Python would write differently becomes a `Number`.

    Raises:
        ValueError, RecursionError: as json.loads.
    """
    return json.loads(
        text, parse_float=_number, parse_int=lambda digits: _number(digits) if digits == "-0" else int(digits)
    )


def write_as_read(value: Any) -> str:
    """Encode a value of `read_as_written`, possibly changed, with its numbers as they were written."""
    mark = "#"
    while mark in (text := _write(value)):
        mark += "#"
    numbers: list[Number] = []
    text = _write(_marked(value, mark, numbers))
    return re.sub(f'"{mark}([0-9]+){mark}"', lambda match: numbers[int(match[1])].written, text)


def _number(written: str) -> Number:
    number = Number(written)
    number.written = written
    return number


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _marked(value: Any, mark: str, numbers: list[Number]) -> Any:
    """Return a copy in which each `Number` is replaced by a string: its index in `numbers` between two marks."""
    root: list[Any] = [value]
    remaining: list[tuple[Any, Any]] = [(root, 0)]
    while remaining:
        container, index = remaining.pop()
        item = container[index]
        if isinstance(item, Number):
            container[index] = f"{mark}{len(numbers)}{mark}"
            numbers.append(item)
        elif isinstance(item, dict | list):
            container[index] = copy = item.copy()
            remaining += [(copy, inner) for inner in (copy if isinstance(copy, dict) else range(len(copy)))]
    return root[0]


def members(line: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the members of a JSON object: name, decoded value, and the value's raw text."""
    position = _skip(line, 0)
    if line[position : position + 1] != "{":
        raise UsageError("a line must be one JSON object, {…}")
    position = _skip(line, position + 1)
    if line[position : position + 1] == "}":
        _must_end(line, position + 1)
        return
    while True:
        if line[position : position + 1] != '"':
            raise UsageError(f"not JSON: a name in quotes is missing at character {position + 1}")
        name, position = scanstring(line, position + 1, True)
        position = _skip(line, position)
        if line[position : position + 1] != ":":
            raise UsageError(f"not JSON: ':' is missing at character {position + 1}")
        start = _skip(line, position + 1)
        value, end = _value(line, start)
        yield name, value, line[start:end]
        position = _skip(line, end)
        if line[position : position + 1] == "}":
            break
        if line[position : position + 1] != ",":
            raise UsageError(f"not JSON: ',' or '}}' is missing at character {position + 1}")
        position = _skip(line, position + 1)
    _must_end(line, position + 1)


def _value(line: str, start: int) -> tuple[Any, int]:
    try:
        return _decode(line, start)
    except json.JSONDecodeError as error:
        raise UsageError(f"not JSON: {error.msg} at character {error.pos + 1}") from None


def _must_end(line: str, position: int) -> None:
    if _skip(line, position) != len(line):
        raise UsageError(f"not JSON: extra data after the object, at character {position + 1}")


def _skip(line: str, position: int) -> int:
    """Return the position after white space; usually there is none."""
    if line[position : position + 1] not in _BLANK:
        return position
    return int(WHITESPACE.match(line, position).end())


def _refuse(message: str) -> Any:
    raise PayloadError(message)
