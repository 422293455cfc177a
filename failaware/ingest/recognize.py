"""Finds the format of a JSON object by its keys, and that of a line of text by its beginning.

The format with the most keys wins, independently of the order of the formats; conditions (`when`) are tried only for
formats whose keys are all there.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from failaware.ingest.expressions import Evaluate, is_true
from failaware.ingest.format import Format

_MAX_CACHED = 1_000  # different lists of keys
_MAX_HEAD = 2_048  # characters of a line of text in which a pattern is looked for; the message may be longer


class Match(NamedTuple):
    """A line of text of a format, with the named groups of its pattern as values."""

    format: Format
    values: dict[str, Any]


class Recognizer:
    """Recognizes formats.

    Args:
        formats: those that are tried.
        first: a format that is tried first; without keys and patterns, every JSON object has it.
        last: a format of the JSON objects that have no other.
    """

    def __init__(self, formats: Iterable[Format], *, first: Format | None = None, last: Format | None = None) -> None:
        self._first, self._last = first, last
        self._json = sorted((each for each in formats if each.keys), key=lambda each: (-len(each.keys), each.name))
        given = [] if first is None else [first]
        text = [each for each in (*given, *formats) if each.patterns]
        self._text = {is_wrapped: list(text) for is_wrapped in (False, True)}
        self._by_keys: dict[tuple[str, ...], list[tuple[Format, Evaluate | None]]] = {}

    def of_object(self, values: Mapping[str, Any]) -> Format | None:
        """Return the format of a JSON object."""
        keys = tuple(values)
        candidates = self._by_keys.get(keys)
        if candidates is None:
            candidates = self._candidates(frozenset(keys))
            if len(self._by_keys) < _MAX_CACHED:
                self._by_keys[keys] = candidates
        for candidate, when in candidates:
            if when is None or is_true(when(values)):
                return candidate
        return None

    def _candidates(self, keys: frozenset[str]) -> list[tuple[Format, Evaluate | None]]:
        formats = [each for each in self._json if each.keys <= keys]
        if self._first is not None and not self._first.patterns and self._first.keys <= keys:
            formats.insert(0, self._first)
        formats += [] if self._last is None else [self._last]
        return [(each, each.expression("when")) for each in formats]

    def of_line(self, line: str, *, is_wrapped: bool = False) -> Match | None:
        """Return the format of a line of text that begins a record, and its parts.

        Lines of the input, and those in records of a container's log, usually have one format each.
        """
        head, rest = line[:_MAX_HEAD], line[_MAX_HEAD:]
        formats = self._text[is_wrapped]
        for position, each in enumerate(formats):
            for pattern in each.patterns:
                match = pattern.match(head)
                if match is None:
                    continue
                if position and each is not self._first:
                    start = int(formats[0] is self._first)  # the user's own format is always tried before
                    formats.insert(start, formats.pop(position))  # the next line is probably of the same format
                values = {name: value for name, value in match.groupdict().items() if value is not None}
                if rest and "message" in values and match.end("message") == len(head):
                    values["message"] += rest
                return Match(each, values)
        return None

    def resembles(self, line: str, values: Mapping[str, Any] | None) -> str | None:
        """Return what a line that no format fits looks like, and what it lacks."""
        if values is None:
            texts = (each for each in self._text[False] if each.resembles is not None and each.resembles.match(line))
            similar = next(texts, None)
            return None if similar is None else f"it looks like {similar.title}, but not like a line of it"
        shares = [(len(each.keys & values.keys()) / len(each.keys), each) for each in self._json]
        share, similar = max(shares, key=lambda pair: (pair[0] < 1, pair[0], len(pair[1].keys)), default=(0, None))
        if similar is None or share < 0.5:
            return None
        missing = ", ".join(sorted(f"'{key}'" for key in similar.keys - values.keys()))
        return f"it looks like {similar.title}, but " + (f"has no {missing}" if missing else "its values differ")
