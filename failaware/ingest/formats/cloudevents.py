"""CloudEvents 1.0 in the JSON format: `id` and `source` are the key, the JSON text is the payload.

An event that Knative could not deliver has extensions that say so (`knativeerrorcode` …): it has an attempt, DEAD.
"""

import base64
import binascii
import json
from typing import Any

from failaware.capture.exceptions import failure
from failaware.capture.external import ParsedInput, observed
from failaware.capture.record import Recorder, as_name, parse_time
from failaware.errors import UsageError
from failaware.model import EventWithAttempts, Failure

_REQUIRED = ("id", "source", "type")
_UNDELIVERED = ("knativeerrordest", "knativeerrorcode", "knativeerrordata")


def matches(values: dict[str, Any]) -> bool:
    """Whether it is a CloudEvent."""
    return "specversion" in values


def parse(values: dict[str, Any], raw: str, recorder: Recorder, now: int) -> ParsedInput:
    """Return the event of a CloudEvent.

    Args:
        values: its attributes, decoded.
        raw: its JSON text, which is the payload.
        recorder: makes events, with the store's limits and masking.
        now: µs since the epoch.

    Raises:
        UsageError: it is not a CloudEvent of this version, or an attribute is not valid.
    """
    _check(values)
    new, _ = recorder.event(
        as_name(values["type"], recorder),
        values,
        now=now,
        key=as_name(f"{values['source'].replace(' ', '%20')} {values['id']}", recorder),  # a URI has no blanks
        source=as_name(values["source"], recorder),
        occurred_at=parse_time(values.get("time")),
        raw=None if _decode(values) else raw,
    )
    failed = _undelivered(values, recorder)
    return ParsedInput([EventWithAttempts(new) if failed is None else observed(new, failed)])


def _check(values: dict[str, Any]) -> None:
    if values["specversion"] != "1.0":
        raise UsageError(f"only CloudEvents 1.0 are supported, not specversion {repr(values['specversion'])[:40]}")
    for name in _REQUIRED:
        if not isinstance(values.get(name), str) or not values[name]:
            raise UsageError(f"the attribute '{name}' of a CloudEvent must be a string that is not empty")
    if not isinstance(values.get("time"), str | None):
        raise UsageError("the attribute 'time' of a CloudEvent must be a string such as 2026-11-20T10:03:00Z")
    if "data" in values and "data_base64" in values:
        raise UsageError("a CloudEvent can have 'data' or 'data_base64', not both")


def _decode(values: dict[str, Any]) -> bool:
    """Replace `data_base64` by `data` if it is text or JSON, to mask it; return whether it was replaced."""
    if values.get("data_base64") is None:
        return False
    try:
        text = base64.b64decode(values["data_base64"], validate=True).decode()
    except UnicodeDecodeError:
        return False
    except (binascii.Error, TypeError, ValueError):
        raise UsageError("'data_base64' of a CloudEvent must be base64") from None
    del values["data_base64"]
    try:
        values["data"] = json.loads(text)
    except ValueError:
        values["data"] = text
    return True


def _undelivered(values: dict[str, Any], recorder: Recorder) -> Failure | None:
    """Return why Knative could not deliver it, if so."""
    destination, code, data = map(values.get, _UNDELIVERED)
    if code is None and data is None:
        return None
    message = f"not delivered to {destination or 'its destination'}"
    error_type = "NotDelivered" if code is None else f"HTTP {code}"
    return failure(error_type, f"{message}: {data}" if data else message, None, masker=recorder.masker)
