"""JSON as a text: laid out for people, with every number, name and escape as it was recorded. Pure."""

import json
import re

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


def finite(text: str) -> str:
    """What Python writes for numbers beyond its own, in JSON: `1e999` for Infinity, as they came in."""
    return _TOKEN.sub(lambda match: _FINITE.get(match[0], match[0]), text)


_FINITE = {"Infinity": "1e999", "-Infinity": "-1e999"}
