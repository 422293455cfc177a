"""Bound the time that a user's regular expression takes: refuse some expressions, limit the text for the others.

Python's engine backtracks and cannot be interrupted. An expression that could take exponential time is refused; the
more its repetitions overlap, the less of a text it is applied to. Both depend only on the expression, which keeps
clusters the same on every machine.

For example, `a+b` searches 2,048 characters of a line; `a+[ab]+c`, in which one repetition overlaps with what follows,
512; `(a+)+` is refused.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_SHOWN = ((2_048, 65_536), (512, 8_192), (128, 2_048), (64, 1_024))
"""Characters of a line and of a text that are searched, by the number of overlapping repetitions.

An expression takes at most about 30,000,000 steps on a line.
"""

_ALL = (65_536, 65_536)
"""For an expression without unbounded repetitions."""

_MANY = 10  # times, from which a repetition counts as unbounded
_MOST_OPTIONAL = 8
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_SAMPLE = [chr(number) for number in range(0x250)]

Item = tuple[Any, Any]


class _Ways(NamedTuple):
    """What makes an expression slow: unbounded repetitions, those that overlap with what follows, optional parts."""

    repeats: int = 0
    overlapping: int = 0
    optional: int = 0

    def plus(self, other: "_Ways", times: int = 1) -> "_Ways":
        return _Ways(*(ours + times * added for ours, added in zip(self, other, strict=True)))


class _Limits(NamedTuple):
    """The characters of a line and of a text that are searched; `by_line`: no repetition crosses a line's end."""

    line: int
    text: int
    by_line: bool


class _TooSlow(Exception):
    """The expression could take exponential time."""


def problem(expression: str) -> str | None:
    """Why a valid expression is refused; None if it is accepted."""
    try:
        _limit(expression, re.compile(expression).flags)
    except _TooSlow as error:
        return str(error)
    return None


def search(expression: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The first match in the searched part of a text; None for a refused expression."""
    try:
        limits = _limit(expression.pattern, expression.flags)
    except _TooSlow:
        return None
    return expression.search(_shown(text, limits))


def _shown(text: str, limits: _Limits) -> str:
    """The searched part of a text: its beginning, or the beginnings of its lines."""
    if not limits.by_line:
        return text[: limits.line]
    return "\n".join(line[: limits.line] for line in text[: limits.text].split("\n"))


@lru_cache(maxsize=256)
def _limit(expression: str, flags: int) -> _Limits:
    items = list(_parser.parse(expression, flags))
    ways = _ways(items, [])
    if ways.overlapping >= len(_SHOWN):
        raise _TooSlow(f"has {ways.overlapping} repetitions that can share a text in many ways; have 3 at most")
    if ways.optional > _MOST_OPTIONAL:
        raise _TooSlow(f"has {ways.optional} optional parts; have {_MOST_OPTIONAL} at most")
    by_line = not flags & re.DOTALL and not any(_crosses_lines(kind, value) for kind, value in _all(items))
    return _Limits(*(_SHOWN[ways.overlapping] if ways.repeats else _ALL), by_line)


def _crosses_lines(kind: Any, value: Any) -> bool:
    """Whether an item is a repetition that may cross a line's end."""
    if kind not in _REPEATS or value[1] == 1:
        return False
    characters = _characters(list(value[2]))
    return characters is None or "\n" in characters


def _ways(items: Sequence[Item], after: Sequence[Item]) -> _Ways:
    """The ways of a sequence of items, given the items after it."""
    ways = _Ways()
    for place, (kind, value) in enumerate(items):
        rest = [*items[place + 1 :], *after]
        if kind in _REPEATS:
            least, most, part = value
            ways = ways.plus(_repeated(kind, least, most, list(part), rest))
        else:
            if kind in (op.GROUPREF, op.GROUPREF_EXISTS):
                ways = ways.plus(_Ways(1, 1))
            if kind == op.BRANCH:
                ways = ways.plus(_Ways(0, 0, len(value[1]) - 1))
            for part in _parts(kind, value):
                ways = ways.plus(_ways(part, rest))
    return ways


def _repeated(kind: Any, least: int, most: int, items: list[Item], rest: Sequence[Item]) -> _Ways:
    inner = _ways(items, [])
    if most is op.MAXREPEAT or most - least >= _MANY:
        if inner != _Ways() or any(kind == op.BRANCH for kind, _ in _all(items)):
            raise _TooSlow("has a repetition, an option or alternatives within a repetition; write one of them")
        overlaps = kind != op.POSSESSIVE_REPEAT and bool(rest) and _overlap(items, rest)
        return _Ways(1, int(overlaps))
    return _Ways(0, 0, int(most != least)).plus(inner, times=int(most))


def _parts(kind: Any, value: Any) -> Iterator[list[Item]]:
    """The sequences within an item."""
    if kind == op.SUBPATTERN:
        yield list(value[-1])
    elif kind == op.BRANCH:
        yield from map(list, value[1])
    elif kind in (op.ASSERT, op.ASSERT_NOT):
        yield list(value[1])
    elif kind == op.ATOMIC_GROUP:
        yield list(value)
    elif kind in _REPEATS:
        yield list(value[2])
    elif kind == op.GROUPREF_EXISTS:
        yield from (list(part) for part in value[1:] if part is not None)


def _all(items: Sequence[Item]) -> Iterator[Item]:
    for kind, value in items:
        yield kind, value
        for part in _parts(kind, value):
            yield from _all(part)


def _overlap(items: list[Item], rest: Sequence[Item]) -> bool:
    """Whether the repeated items and the following ones can match the same character; true if unknown."""
    repeated, following = _characters(items), _following(rest[0])
    return repeated is None or following is None or not repeated.isdisjoint(following)


def _following(item: Item) -> set[str] | None:
    """The characters that an item can begin with; None if unknown."""
    kind, value = item
    if kind == op.AT and value in (op.AT_END, op.AT_END_STRING):
        return {"\n"}  # or the end
    if kind in _REPEATS and value[0] > 0:
        return _characters(list(value[2]))
    return _characters([item])


def _characters(items: list[Item]) -> set[str] | None:
    """The sample characters and literals that a one-character item matches; None for other items."""
    if len(items) != 1:
        return None
    kind, value = items[0]
    if kind == op.SUBPATTERN:
        return _characters(list(value[-1]))
    if kind == op.ANY:
        return {*_SAMPLE} - {"\n"}
    if kind not in (op.LITERAL, op.NOT_LITERAL, op.IN):
        return None
    classes = [(kind, value)] if kind != op.IN else value
    negated = classes[:1] == [(op.NEGATE, None)]
    named = {chr(value) for kind, value in classes if kind in (op.LITERAL, op.NOT_LITERAL)}
    sample = {*_SAMPLE, *named}
    chosen = {character for character in sample if any(_is(kind, value, character) for kind, value in classes)}
    return sample - chosen if negated else chosen


def _is(kind: Any, value: Any, character: str) -> bool:
    if kind == op.LITERAL:
        return bool(character == chr(value))
    if kind == op.NOT_LITERAL:
        return bool(character != chr(value))
    if kind == op.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    if kind == op.CATEGORY:
        letter = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(value).rpartition("_")[2]]
        return bool(re.match(letter, character)) != ("_NOT_" in str(value))
    return False
