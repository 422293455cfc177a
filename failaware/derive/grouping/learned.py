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

_MOST_TOKENS = 60  # a longer template is not learned from: the cost is that of its tokens squared
_FEWEST_WORDS = 2  # that must remain next to a variable: `connection <*>` would unite refused and reset
_TOKEN = re.compile(rf"<\*>|{templating.PLACEHOLDER}|[\w.-]+|\s+|[^\w\s]")
_PLACE = re.compile(rf"<\*>|{templating.PLACEHOLDER}|[^\W\d_][^\W\d]*(?:[.-][^\W\d]+)*")
_QUOTES = frozenset("'\"`")


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

    Args:
        template: the template, or a pattern.
        scope: what else templates of one slot must have in common: their event type and error type.
    """
    tokens = _TOKEN.findall(template)
    if len(tokens) > _MOST_TOKENS:
        return
    plain = [VARIABLE if token[0] == "<" and len(token) > 1 else token for token in tokens]
    word_count = sum(token[0].isalpha() for token in plain)
    for position, token in enumerate(plain):
        if _may_vary(plain, position) and word_count - (token != VARIABLE) >= _FEWEST_WORDS:
            context = "\x00".join((*scope, str(position), *plain[:position], "", *plain[position + 1 :]))
            digest = hashlib.sha256(context.encode("utf-8", "backslashreplace")).digest()
            general = "".join((*tokens[:position], VARIABLE, *tokens[position + 1 :]))
            yield Slot(int.from_bytes(digest[:8], "big") >> 1, token, general)


def _may_vary(tokens: Sequence[str], position: int) -> bool:
    """Whether a token is a word that is no name: not quoted, not a code, not after a word such as `column`."""
    word = tokens[position]
    if not _PLACE.fullmatch(word) or words.KEEP_WORD.fullmatch(word) or words.CODE_WORD.fullmatch(word):
        return False
    if not _QUOTES.isdisjoint(tokens[max(0, position - 1) : position + 2]):
        return False
    cue = next((token.lower() for token in reversed(tokens[:position]) if token[0].isalpha()), "")
    return cue not in words.NAME_CUES and cue.removesuffix("s") not in words.NAME_CUES
