"""How long a user's regular expression may take: how much of a text it is shown, and which expressions are refused.

Python's engine tries every way to match, and cannot be ended from outside. So an expression must not have exponentially
many ways, and the more ways it has, the less of a text it is shown. Both follow from the expression alone, so that
every machine finds the same clusters.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_SHOWN = ((2_048, 65_536), (512, 8_192), (128, 2_048), (64, 1_024))
"""Characters of a line, and of a text, by how many repetitions could share them in different ways with what follows.

An expression takes some 30,000,000 steps at a line at most.
"""

_ALL = (65_536, 65_536)
"""Where nothing is repeated without an end."""

_MANY = 10  # times, from which on a repetition counts as one without an end
_MOST_OPTIONAL = 8
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_SAMPLE = [chr(number) for number in range(0x250)]

Item = tuple[Any, Any]


class _Ways(NamedTuple):
    """What makes an expression slow: repetitions in all, those that overlap with what follows, optional parts."""

    repeats: int = 0
    overlapping: int = 0
    optional: int = 0

    def plus(self, other: "_Ways", times: int = 1) -> "_Ways":
        return _Ways(*(mine + times * theirs for mine, theirs in zip(self, other, strict=True)))


class _Limits(NamedTuple):
    """How many characters of a line and of a text are looked at; `by_line`: the expression stays within lines."""

    line: int
    text: int
    by_line: bool


class _TooSlow(Exception):
    """The expression could take for ever."""


def problem(expression: str) -> str | None:
    """Why an expression is refused; None if it is not. It is a valid one."""
    try:
        _limit(expression, re.compile(expression).flags)
    except _TooSlow as error:
        return str(error)
    return None


def search(expression: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The first match in the part of a text that the expression is shown; none of an expression that is refused."""
    try:
        limits = _limit(expression.pattern, expression.flags)
    except _TooSlow:
        return None
    return expression.search(_shown(text, limits))


def _shown(text: str, limits: _Limits) -> str:
    """The beginning of a text, and of each of its lines where no repetition goes on beyond them."""
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
    """Whether an item is a repetition that goes on at the next line, as far as can be told."""
    if kind not in _REPEATS or value[1] == 1:
        return False
    characters = _characters(list(value[2]))
    return characters is None or "\n" in characters


def _ways(items: Sequence[Item], after: Sequence[Item]) -> _Ways:
    """Of a sequence, and what comes after it."""
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
        if inner != _Ways() or any(found == op.BRANCH for found, _ in _all(items)):
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
    """Whether what is repeated can also be what follows; true where that cannot be told."""
    repeated, following = _characters(items), _following(rest[0])
    return repeated is None or following is None or not repeated.isdisjoint(following)


def _following(item: Item) -> set[str] | None:
    """The characters that an item can begin with; None where that cannot be told."""
    kind, value = item
    if kind == op.AT and value in (op.AT_END, op.AT_END_STRING):
        return {"\n"}  # or nothing at all
    if kind in _REPEATS and value[0] > 0:
        return _characters(list(value[2]))
    return _characters([item])


def _characters(items: list[Item]) -> set[str] | None:
    """The characters of a sample, and of those named, that one position matches; None if it is not one position."""
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
    named = {chr(given) for what, given in classes if what in (op.LITERAL, op.NOT_LITERAL)}
    sample = {*_SAMPLE, *named}
    chosen = {character for character in sample if any(_is(what, given, character) for what, given in classes)}
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
