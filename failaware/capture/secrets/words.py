"""Finds which of many short strings a text contains, in one pass over the text.

The library searches without the interpreter's lock. A daemon thread that waits for it when the interpreter ends would
abort the whole program (SIGABRT), since such a thread cannot leave Rust code; so the end waits for all searches, and
later ones use Python alone.
"""

import atexit
import os
import time
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

Search = Callable[[str, bool], list[str]]
"""Returns each word in a text; the second argument says whether words may overlap.

Raises:
    UnicodeEncodeError: the text has a lone surrogate, which has no UTF-8.
"""


_WAIT_S = 1.0  # for searches at the end of the interpreter; one takes microseconds
_searching: list[None] = []  # an entry for each thread that is in the library
_ended = False
_NONE: frozenset[str] = frozenset()


def words_in(words: Iterable[str]) -> Callable[[str], AbstractSet[str]]:
    """Return a function that returns which of these words a text contains; they may overlap in it."""
    every = sorted(set(words))
    search = _automaton(every)

    def one_by_one(text: str) -> set[str]:
        return {word for word in every if word in text}

    if search is None:
        return one_by_one

    def in_one_pass(text: str) -> AbstractSet[str]:
        _searching.append(None)  # before looking at `_ended`: `_end` has then seen it, or this thread sees the end
        try:
            if _ended:
                return one_by_one(text)
            matches = search(text, True)
            return set(matches) if matches else _NONE
        except UnicodeEncodeError:
            return one_by_one(text)
        finally:
            _searching.pop()

    return in_one_pass


def _automaton(words: list[str]) -> Search | None:
    """Return a search for these words, or None on a platform without the library: it takes several times as long."""
    try:
        from ahocorasick_rs import AhoCorasick
    except ImportError:
        return None
    return AhoCorasick(words).find_matches_as_strings  # their positions in characters would cost a fifth more


def _end() -> None:
    """Wait until no thread is in the library, and let none enter it."""
    global _ended  # noqa: PLW0603 - it is per process
    _ended = True
    until = time.monotonic() + _WAIT_S
    while _searching and time.monotonic() < until:
        time.sleep(0.001)


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_searching.clear)
