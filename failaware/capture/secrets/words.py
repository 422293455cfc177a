"""Finds which of many short strings a text contains, in one pass over the text."""

from collections.abc import Callable, Iterable
from functools import partial

Search = Callable[[str], list[tuple[int, int, int]]]
"""Returns the number, start and end of each word in a text.

Raises:
    UnicodeEncodeError: the text has a lone surrogate, which has no UTF-8.
"""


def words_in(words: Iterable[str]) -> Callable[[str], set[str]]:
    """Return a function that returns which of these words a text contains; they may overlap in it."""
    every = sorted(set(words))
    search = _automaton(every)

    def one_by_one(text: str) -> set[str]:
        return {word for word in every if word in text}

    if search is None:
        return one_by_one

    def in_one_pass(text: str) -> set[str]:
        try:
            return {every[number] for number, _, _ in search(text)}
        except UnicodeEncodeError:
            return one_by_one(text)

    return in_one_pass


def _automaton(words: list[str]) -> Search | None:
    """Return a search for these words, or None on a platform without the library: it takes several times as long."""
    try:
        from ahocorasick_rs import AhoCorasick
    except ImportError:
        return None
    return partial(AhoCorasick(words).find_matches_as_indexes, overlapping=True)
