"""Sentry's envelope: a line of JSON, then items, each a line of JSON and a content.

Example, of an SDK that gives no length, so that the content ends with its line:

    {"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","dsn":"https://key@host/1"}
    {"type":"event"}
    {"level":"error","message":"disk full"}
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from failaware.serve.refusal import Refusal


class Item(NamedTuple):
    """One item: its type and its content."""

    kind: str
    content: bytes


def header(body: bytes) -> dict[str, Any]:
    """Return the first line of an envelope.

    Raises:
        Refusal: it is not an object.
    """
    return _object(body.partition(b"\n")[0], "the first line of a Sentry envelope")


def items(body: bytes) -> Iterator[Item]:
    """Yield the items of an envelope.

    Raises:
        Refusal: an item is not as the protocol says; the items before have been yielded.
    """
    place = body.find(b"\n") + 1
    while 0 < place < len(body):
        end = _end_of_line(body, place)
        line = body[place:end].strip()
        place = end + 1
        if not line:
            continue
        about = _object(line, "an item's header")
        length = about.get("length")
        if isinstance(length, int) and not isinstance(length, bool) and length >= 0:
            end = place + length
            if end > len(body):
                raise Refusal(400, f"an item of the Sentry envelope has fewer bytes than its length, {length:,}")
        else:
            end = _end_of_line(body, place)
        yield Item(str(about.get("type")), body[place:end])
        place = end + 1


def key_of_dsn(dsn: Any) -> str:
    """Return the public key in a DSN; empty if there is none."""
    try:
        return urlsplit(dsn).username or "" if isinstance(dsn, str) else ""
    except ValueError:
        return ""


def _end_of_line(body: bytes, place: int) -> int:
    end = body.find(b"\n", place)
    return len(body) if end < 0 else end


def _object(line: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, f"{what} must be a JSON object")
    return value
