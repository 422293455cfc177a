"""Turns a caller's arguments into an event that can be appended: validated, masked and bounded. Reads no clock."""

import json
import math
import operator
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import accumulate
from typing import Any

from failaware.capture.guarded import guarded, is_a, plain, raised_by_signal, short_name, text_of
from failaware.capture.secrets.masking import Masker
from failaware.digest import keyed_digest
from failaware.errors import PayloadError, UsageError
from failaware.json_text import read_as_written, write_as_read
from failaware.model import NewEvent
from failaware.text import fitting, has_words, microseconds, misfit, storable

MAX_PAYLOAD_BYTES = 1_048_576
"""The default limit for one payload: 1 MiB of JSON in UTF-8."""

_MAX_DEPTH = 200  # levels of a payload: any process must be able to decode it, even on a deep stack
_MAX_DIGITS = sys.int_info.default_max_str_digits  # of an integer: other processes refuse to decode more
_FIELDS = ("type", "payload", "key", "source", "occurred_at", "fingerprint")
_MAX_REASON = 8_192  # characters of a reason
_MAX_NAME = 512  # characters of an event type, a key or a source
_MILLISECONDS, _MICROSECONDS = 10**12, 10**14  # a number from here on is in this unit; seconds end with the year 9999
_NANOSECONDS = 10**18  # from September 2001 on; microseconds end with 2.5 × 10**17
_EARLIEST_MICROSECONDS = "March 1973"  # 10^14 µs after the epoch
_DAY = 86_400_000_000
_EARLIEST = microseconds(datetime(1, 1, 1, tzinfo=UTC)) - _DAY  # a time zone may shift the date by a day
_LATEST = microseconds(datetime(9999, 12, 31, tzinfo=UTC)) + 2 * _DAY
_SEARCHED_TOGETHER, _SHORT = 32, 2_048  # payloads, and the characters of the longest one
_SURROGATE = re.compile("[\ud800-\udfff]")
_SQUARE, _NO_BRACKETS = bytes.maketrans(b"{}", b"[]"), bytes(set(range(256)) - set(b"[]{}"))
_USUAL_LEVELS, _OPENING = 10, ord("[")
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Recorder:
    """Makes new events with the limits and the masker of one store; `store_key` is the store's secret key."""

    def __init__(
        self, masker: Masker, max_payload_bytes: int = MAX_PAYLOAD_BYTES, store_key: bytes | None = None
    ) -> None:
        self.masker = masker
        self._max_bytes = max_payload_bytes
        self._store_key = store_key

    def event(
        self,
        event_type: str,
        payload: Any,
        *,
        now: int,
        key: str | None = None,
        source: str | None = None,
        occurred_at: int | datetime | None = None,
        raw: str | None = None,
        fingerprint: str | None = None,
    ) -> tuple[NewEvent, Any]:
        """Return the new event, and its payload as recorded. `raw` is the payload's JSON text, if the caller has it.

        Raises:
            PayloadError: the payload is not JSON, or exceeds the limit.
            UsageError: a name or a time has the wrong type or size.
        """
        event_type = _event_type(event_type)
        key = None if key is None else _name("key", key)
        source = None if source is None else _name("source", source)
        fingerprint = None if fingerprint is None else _name("fingerprint", fingerprint)
        occurred = now if occurred_at is None else _moment(occurred_at, "occurred_at")
        text = _to_json(payload) if raw is None else raw
        names = [name for name in (key, source, fingerprint) if name is not None]
        if (raw is None or "\\u" not in raw) and self._are_plain([text, *names]):
            return NewEvent(event_type, _writable(text), key, source, occurred, now, fingerprint), payload
        text, recorded = self._checked(text, payload, is_raw=raw is not None)
        return NewEvent(
            event_type,
            text,
            None if key is None else self.masked_key(key),
            None if source is None else self.masked(source),
            occurred,
            now,
            None if fingerprint is None else self.masked(fingerprint),
        ), recorded

    def events(self, pairs: Sequence[tuple[str, Any]], *, now: int) -> list[tuple[NewEvent, Any]]:
        """As `event`, for many (type, payload) pairs: short payloads are searched for secrets several at a time."""
        events: list[tuple[NewEvent, Any]] = []
        for start in range(0, len(pairs), _SEARCHED_TOGETHER):
            some = pairs[start : start + _SEARCHED_TOGETHER]
            texts = [_to_json(payload) for _, payload in some]
            are_plain = self._are_plain(texts)
            for (event_type, payload), text in zip(some, texts, strict=True):
                checked, recorded = (_writable(text), payload) if are_plain else self._checked(text, payload)
                events.append((NewEvent(_event_type(event_type), checked, None, None, now, now), recorded))
        return events

    def _are_plain(self, texts: list[str]) -> bool:
        """Whether no text is long, deep, or may hold a secret."""
        is_short = max(map(len, texts)) <= min(_SHORT, self._max_bytes // 4)
        return is_short and not any(map(_may_be_deep, texts)) and self.masker.none_holds(texts)

    def _checked(self, text: str, payload: Any, *, is_raw: bool = False) -> tuple[str, Any]:
        """Return the JSON text to write and the payload, both with secrets masked.

        Raises:
            PayloadError: the payload exceeds a limit.
        """
        recorded = payload
        self._check_size(text)  # before masking, which is slow
        may_hold = self.masker.may_hold(text) or (is_raw and "\\u" in text)  # an escape may be part of a name
        if _may_be_deep(text):
            _check_depth(text)
        if may_hold:
            decoded = payload if is_raw else _decoded(text)  # the caller's objects are read only once
            masked, hits = self.masker.mask_value(decoded)
            if hits or (is_raw and self._hides_a_secret(text)):
                if is_raw:
                    recorded, _ = self.masker.mask_value(read_as_written(text))
                    text = write_as_read(recorded)
                else:
                    text, recorded = _to_json(masked), masked
                self._check_size(text)
        return _writable(text), recorded

    def _check_size(self, text: str) -> None:
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if size > self._max_bytes:
            raise PayloadError(
                f"the payload has {size:,} bytes of JSON, the limit is {self._max_bytes:,}; "
                "record a reference to it instead, or raise the limit with Store.open(max_payload_bytes=...)"
            )

    def _hides_a_secret(self, raw: str) -> bool:
        """Whether a duplicate member name has a secret value; the decoded object has only the last value."""
        hidden = False

        def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
            nonlocal hidden
            if len(dict(members)) < len(members):
                hidden = hidden or any(self.masker.mask_value({name: value})[1] for name, value in members)
            return dict(members)

        json.loads(raw, object_pairs_hook=pairs)
        return hidden

    def masked(self, text: str) -> str:
        """Return a text with its secrets masked."""
        return self.masker.mask_text(text)[0]

    def decision_text(self, label: str, text: str) -> str:
        """Return a text of a decision with its secrets masked; `label` is the argument's name.

        Raises:
            UsageError: it is not a string, or longer than 8,192 characters.
        """
        if not is_a(text, str):
            raise UsageError(f"'{label}' must be a string, not {short_name(type(text))}")
        text = plain(text)
        if len(text) > _MAX_REASON:
            raise UsageError(f"'{label}' can have at most {_MAX_REASON:,} characters, not {len(text):,}")
        return storable(self.masker.mask_text(text)[0])

    def reason(self, because: str) -> str:
        """Return the reason of a decision with its secrets masked. It must have words, since it can never be changed.

        Raises:
            UsageError: it is not a string, has no words, or is longer than 8,192 characters.
        """
        reason = self.decision_text("because", because)
        if not has_words(plain(because)):
            raise UsageError("'because' needs a reason in words; readers of the decision need it")
        return reason

    def masked_key(self, key: str) -> str:
        """Return the key with its secrets masked, followed by a keyed digest of it if there were any.

        Keys that differ only in a secret must still differ, or their events would count as one.
        """
        masked, hits = self.masker.mask_text(key)
        if not hits:
            return key
        return f"{masked[: _MAX_NAME - 17]} {self.digest(key)[:16]}"

    def digest(self, content: str | bytes) -> str:
        """Return a keyed digest (64 hex digits): without the store's key, a short text could be found by guessing."""
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        return keyed_digest(self._store_key, data).hex()

    def from_mapping(
        self, line: Mapping[str, Any], *, now: int, raw: str | None = None, extra_fields: tuple[str, ...] = ()
    ) -> tuple[NewEvent, Any]:
        """Return the new event of a dict with the fields type, payload, key, source, occurred_at and fingerprint.

        `raw` is as for `event`. `extra_fields` are allowed too; the caller reads them.

        Raises:
            PayloadError, UsageError: as `event`; also for a missing type or an unknown field.
        """
        known = (*_FIELDS, *extra_fields)
        if unknown := set(line) - set(known):
            raise UsageError(f"there is no field '{min(map(str, unknown))}'; fields are {', '.join(known)}")
        if "type" not in line:
            raise UsageError("the field 'type' is missing")
        return self.event(
            line["type"],
            line.get("payload"),
            now=now,
            key=line.get("key"),
            source=line.get("source"),
            occurred_at=parse_time(line.get("occurred_at")),
            raw=raw,
            fingerprint=line.get("fingerprint"),
        )


def parse_time(value: object, name: str = "occurred_at") -> int | None:
    """Return a time as integer µs since the epoch, from an ISO 8601 text, a datetime or a number.

    A number below 10^12 is in seconds, below 10^14 in milliseconds, below 10^18 in µs, and otherwise in nanoseconds.

    Raises:
        UsageError: it is not a time.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _moment(_from_iso(value), name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UsageError(f"{name} must be a time, not {value}")
        if abs(value) >= _NANOSECONDS:
            return _in_range(int(value) // 1_000, name)
        unit = 1_000_000 if abs(value) < _MILLISECONDS else 1_000 if abs(value) < _MICROSECONDS else 1
        return _in_range(int(value * unit), name)
    return _moment(value, name)


def in_microseconds(value: int | datetime | None, name: str = "occurred_at") -> int | datetime | None:
    """Return the value unchanged.

    Raises:
        UsageError: it looks like seconds or milliseconds.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MICROSECONDS:
        raise UsageError(
            f"{name} is in microseconds since 1970, and {value} is before {_EARLIEST_MICROSECONDS}; "
            "pass int(seconds * 1_000_000), or a datetime"
        )
    return value


def event_numbers(event_ids: Iterable[int]) -> list[int]:
    """Return the event ids of a decision, without duplicates.

    Raises:
        UsageError: one is not an event id. A string is refused: its digits would count as several ids.
    """
    if is_a(event_ids, str, bytes, bytearray) or not is_a(event_ids, Iterable):
        raise UsageError(f"event_ids must be a list of event ids, not {short_name(type(event_ids))}")
    return list(dict.fromkeys(map(_event_number, event_ids)))


def _event_number(value: object) -> int:
    number = None if is_a(value, bool) else guarded(lambda: operator.index(value), None)  # type: ignore[arg-type]
    if number is None:
        raise UsageError(f"an event id must be an integer, not {short_name(type(value))}")
    return number


def as_name(text: str, recorder: Recorder) -> str:
    """Make a valid name of a foreign one: only visible characters, at most 512, the rest replaced by a digest.

    Secrets are masked before the cut: a part of a secret would not be recognized.
    """
    name = fitting(text)
    if len(name) <= _MAX_NAME:
        return name or "unnamed"
    return f"{recorder.masker.mask_text(name)[0][: _MAX_NAME - 17]} {recorder.digest(text)[:16]}"


def _from_iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.upper())  # RFC 3339 allows t and z
    except ValueError:
        raise UsageError(f"occurred_at must be ISO 8601, such as 2026-11-20T10:03:00Z, not {text[:64]!r}") from None


def _moment(moment: object, name: str) -> int:
    if is_a(moment, bool) or not is_a(moment, int, datetime):
        raise UsageError(f"{name} must be a datetime or integer microseconds, not {short_name(type(moment))}")
    if isinstance(moment, int):
        return _in_range(int(moment), name)
    assert isinstance(moment, datetime)
    if guarded(moment.utcoffset, None) is None:
        raise UsageError(
            f"{name} needs a time zone, such as {moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
        )
    return _in_range(microseconds(moment), name)


def _in_range(at: int, name: str) -> int:
    if not _EARLIEST <= at <= _LATEST:
        raise UsageError(f"{name} is out of range: the years 1 to 9999")
    return at


def _name(label: str, value: object) -> str:
    if not is_a(value, str):
        raise UsageError(f"the {label} must be a string, not {short_name(type(value))}")
    return _check_name(label, plain(value))  # type: ignore[arg-type]


def _check_name(label: str, name: str) -> str:
    if not name or len(name) > _MAX_NAME:
        raise UsageError(f"the {label} must have 1 to {_MAX_NAME} characters, not {len(name):,}")
    if invisible := misfit(name):
        raise UsageError(f"the {label} {name[:40]!r} contains {invisible}, which is not visible; leave it out")
    return name


_check_type = lru_cache(maxsize=1_024)(partial(_check_name, "event type"))  # most programs have few


def _event_type(value: object) -> str:
    return _check_type(value) if type(value) is str else _name("event type", value)


def _to_json(payload: Any) -> str:
    try:
        return _encoded(payload)
    except RecursionError:
        raise PayloadError("the payload is nested too deeply to be JSON here; flatten it") from None
    except BaseException as error:  # a mapping of the caller may raise anything
        if raised_by_signal(error):
            raise
        kind = "" if is_a(error, TypeError, ValueError) else f"{short_name(type(error))}: "
        raise PayloadError(f"the payload is not JSON: {kind}{text_of(error)}") from None


def _one_shot() -> Callable[[Any], str]:
    """Return `_ENCODER.encode` without its check for circular values, and without making an encoder for each of them.

    It takes a third less time. A circular value is a RecursionError.
    """
    make = vars(json.encoder).get("c_make_encoder")  # None on other implementations of Python
    if make is None:
        return _ENCODER.encode
    parts = make(None, _ENCODER.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda payload: "".join(parts(payload, 0))


_encode = _one_shot()


def _encoded(payload: Any) -> str:
    try:
        text = _encode(payload)
    except RecursionError:
        text = _ENCODER.encode(payload)  # whose error distinguishes circular values from deep ones
    if not 0 < sys.get_int_max_str_digits() <= _MAX_DIGITS:  # this process reads longer integers than others
        json.loads(text, parse_int=_check_integer)
    return text


def _check_integer(digits: str) -> None:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise ValueError(f"an integer can have at most {_MAX_DIGITS:,} digits")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise PayloadError("the payload is nested too deeply to be JSON here; flatten it") from None


def _may_be_deep(text: str) -> bool:
    return len(text) > _MAX_DEPTH and text.count("[") + text.count("{") > _MAX_DEPTH


def _check_depth(text: str) -> None:
    """Remove the innermost brackets, level by level; after a few levels, go through the rest one by one."""
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])  # of strings
    brackets = outside.encode("ascii", "replace").translate(_SQUARE, _NO_BRACKETS)
    for _ in range(_USUAL_LEVELS):
        brackets = brackets.replace(b"[]", b"")
    deepest = max(accumulate(1 if bracket == _OPENING else -1 for bracket in brackets), default=0)
    if deepest > _MAX_DEPTH - _USUAL_LEVELS:
        raise PayloadError(f"the payload is nested too deeply: the limit is {_MAX_DEPTH} levels; flatten it")


def _writable(text: str) -> str:
    """Return the JSON text with each lone surrogate escaped, since UTF-8 cannot encode it."""
    return text if text.isascii() else _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
