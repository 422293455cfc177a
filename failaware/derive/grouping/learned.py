"""Learned variables: templates that differ in one word become one cluster once enough values of that word were seen.

A pattern is a template in which `<*>` is any word. Patterns are derived from a set of templates by one rule,
repeated until nothing changes: where at least `variable_after` patterns agree in every token but one, that position is
a variable, and the pattern with `<*>` there is derived as well; all of these are one cluster. Example for 3:

    no route to alpha, no route to beta, no route to gamma    ->    no route to <*>

The rule only ever adds patterns and merges clusters, so the result is a function of the set of templates: neither their
order nor how they are batched matters. A cluster's id is that of its pattern with the most variables.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from failaware.derive.grouping import templating, words

VARIABLE = "<*>"
"""A learned variable in a template; in a pattern, any placeholder."""

_MOST_TOKENS = 100  # a longer template is not learned from: the cost is that of its tokens squared
_FEWEST_WORDS = 2  # that must remain next to a variable: `connection <*>` would unite refused and reset
_TOKEN = re.compile(rf"<\*>|{templating.PLACEHOLDER}|\.?\w+(?:[.-]+\w+)*|\s+|[^\w\s]")
_PLACE = re.compile(rf"<\*>|{templating.PLACEHOLDER}|\.?[^\W\d_][^\W\d]*(?:[.-][^\W\d]+)*")
_QUOTES = frozenset("'\"`")
_NAMED = words.NAME_CUES - frozenset(["of", "from", "reading", "reason", "object", "exec", "tag", "format"])
"""Words directly before a name."""


class Slot(NamedTuple):
    """A position of a pattern: the id of the other tokens, the word there, and the pattern with a variable there."""

    slot_id: int
    word: str
    general: str


def variables(template: str) -> int:
    """How many variable parts a template has, learned ones and others."""
    return sum(token[0] == "<" and len(token) > 1 for token in _TOKEN.findall(template))


def slots(template: str, scope: Sequence[str]) -> Iterator[Slot]:
    """The positions of a template that may be variable. Names are not: their values are different failures.

    A word that a message repeats varies in all its places at once, or in any of them.

    Args:
        template: the template, or a pattern.
        scope: what else templates of one slot must have in common: their event type and error type.
    """
    tokens = _TOKEN.findall(template)
    if len(tokens) > _MOST_TOKENS:
        return
    plain = [VARIABLE if token[0] == "<" and len(token) > 1 else token for token in tokens]
    word_count = sum(token[0].isalpha() for token in plain)
    places: dict[str, list[int]] = {}
    for position, token in enumerate(plain):
        if _may_vary(plain, position) and word_count - (token != VARIABLE) >= _FEWEST_WORDS:
            places.setdefault(token, []).append(position)
    for word, positions in places.items():
        for chosen in _choices(word, positions):
            yield _slot(tokens, plain, chosen, scope)


def _choices(word: str, positions: list[int]) -> Iterator[list[int]]:
    yield from ([position] for position in positions)
    if len(positions) > 1 and word != VARIABLE:
        yield positions


def _slot(tokens: Sequence[str], plain: Sequence[str], chosen: Sequence[int], scope: Sequence[str]) -> Slot:
    others = ["" if position in chosen else token for position, token in enumerate(plain)]
    context = "\x00".join((*scope, ",".join(map(str, chosen)), *others))
    digest = hashlib.sha256(context.encode("utf-8", "backslashreplace")).digest()
    general = "".join(VARIABLE if position in chosen else token for position, token in enumerate(tokens))
    return Slot(int.from_bytes(digest[:8], "big") >> 1, plain[chosen[0]], general)


def _may_vary(tokens: Sequence[str], position: int) -> bool:
    """Whether a token is a word that is no name: not a code, not directly after a word such as `column`."""
    word = tokens[position]
    if not _PLACE.fullmatch(word) or words.KEEP_WORD.fullmatch(word) or words.CODE_WORD.fullmatch(word):
        return False
    quoted = position > 0 and tokens[position - 1] in _QUOTES
    if quoted and words.NAME_AFTER.match("".join(tokens[position + 2 : position + 10])):
        return False
    before = tokens[position - quoted - 2 : position - quoted]
    cue = before[0].lower() if len(before) == 2 and before[1].isspace() else ""
    return cue not in _NAMED and cue.removesuffix("s") not in _NAMED
