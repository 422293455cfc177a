"""A filter over several stores, as a filter for each of them.

`store:` chooses stores and is left out; `id:42@shop` applies to one store; the clusters of `cluster:` and `last:` are
those of the store that belong to the cluster of all stores, which `cluster:4195@shop` names by its id in one store.
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from failaware.errors import FilterError
from failaware.federation.ids import digits
from failaware.federation.part import Part
from failaware.read.filter import WORD

Members = Callable[[Part, str], list[int]]
"""The ids of a store's own clusters for a value of `cluster:`."""

_IDS = {"id", "cluster", "last"}
_NONE = "id:0"
"""Matches no event."""


def filters_for(where: str, parts: Sequence[Part], members: Members) -> dict[Part, str]:
    """The filter for each store that it may match; what is invalid is left to the stores to refuse.

    Raises:
        FilterError: there is no such store.
    """
    chosen = {part: list[str]() for part in parts}
    position, where = 0, where.strip()
    while position < len(where):
        match = WORD.match(where, position)
        if match is None:
            return {part: " ".join([*words, where[position:]]) for part, words in chosen.items()}
        word = _Word.of(match)
        _refuse_unknown(word, parts)
        if word.field == "store":
            named = _named(word.values, parts)
            chosen = {part: words for part, words in chosen.items() if (part.name in named) != bool(word.negated)}
        else:
            for part in chosen:
                chosen[part] += word.for_part(part, members)
        position = len(where) - len(where[match.end() :].lstrip())
    return {part: " ".join(words) for part, words in chosen.items()}


def _refuse_unknown(word: "_Word", parts: Sequence[Part]) -> None:
    """Refuse an id of a store that there is not."""
    for value in word.values if word.field in _IDS else ():
        _, at, store = value.partition("@")
        if at and all(part.name != store for part in parts):
            raise FilterError(f"there is no store '{store[:60]}'; there are {', '.join(part.name for part in parts)}")


def _named(values: list[str], parts: Sequence[Part]) -> set[str]:
    named: set[str] = set()
    for value in values:
        matching = {part.name for part in parts if fnmatchcase(part.name, value)}
        if not matching:
            raise FilterError(f"there is no store '{value}'; there are {', '.join(part.name for part in parts)}")
        named |= matching
    if not named:
        raise FilterError("'store:' needs the name of a store")
    return named


class _Word(NamedTuple):
    """A word of a filter as it is written, and its parts."""

    text: str
    field: str
    values: list[str]
    negated: str

    @classmethod
    def of(cls, match: re.Match[str]) -> "_Word":
        """From a match of WORD."""
        value = match["value"]
        values = [value[1:-1]] if value.startswith('"') else [each for each in value.split(",") if each]
        return cls(match[0], (match["field"] or "").lower(), values, match["not"] or "")

    def for_part(self, part: Part, members: Members) -> list[str]:
        """The words for one store."""
        if self.field == "id" and any("@" in value for value in self.values):
            own = [str(each[0]) for each in map(digits, self.values) if each is not None and each[1] == part.name]
            own += [value for value in self.values if "@" not in value]
            return self._one_of(own)
        if self.field in {"cluster", "last"} and all(value.partition("@")[0].isdecimal() for value in self.values):
            ids = [str(each) for value in self.values for each in ([0] if value == "0" else members(part, value))]
            return self._one_of(ids)
        return [self.text]

    def _one_of(self, own: list[str]) -> list[str]:
        """The words for these values of the store; none of its events has any of them if there are none."""
        return [f"{self.negated}{self.field}:{','.join(own)}"] if own else [] if self.negated else [_NONE]
