"""JSON as a text: laid out for people, with every number, name and escape as it was recorded. Pure."""

import json
import re
from typing import Any

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_INDENT = "  "


def indented(text: str) -> str:
    """The text, one member a line; as it is where it is no JSON, or nested too deeply to be read."""
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
    """A number of a JSON text, with how it was written there: `1.10`, `1e999`, more digits than a float has."""

    written: str


def read_as_written(text: str) -> Any:
    """The decoded JSON text, in which each number that Python would write otherwise is a `Number`.

    Raises:
        ValueError, RecursionError: as json.loads.
    """
    return json.loads(
        text, parse_float=_number, parse_int=lambda digits: _number(digits) if digits == "-0" else int(digits)
    )


def write_as_read(value: Any) -> str:
    """What `read_as_written` returned, or what was made of it, as JSON again."""
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
    """A copy in which a text stands for each `Number`: its place in `numbers` between two marks."""
    root: list[Any] = [value]
    waiting: list[tuple[Any, Any]] = [(root, 0)]
    while waiting:
        holder, place = waiting.pop()
        item = holder[place]
        if isinstance(item, Number):
            holder[place] = f"{mark}{len(numbers)}{mark}"
            numbers.append(item)
        elif isinstance(item, dict | list):
            holder[place] = copy = item.copy()
            waiting += [(copy, inner) for inner in (copy if isinstance(copy, dict) else range(len(copy)))]
    return root[0]
