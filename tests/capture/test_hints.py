"""Words are found in one pass over a text, with and without the library for it."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from failaware.capture.secrets import masking, words

WORDS = ("-----", " -", "pass", "passcode", "code", "?code", "@", "$", "a", "ab", "пароль")
texts = st.lists(st.sampled_from((*WORDS, *"-? o\ud800"))).map("".join)


@given(text=texts)
def test_all_words_are_found_even_where_they_overlap(text):
    assert words.words_in(WORDS)(text) == {word for word in WORDS if word in text}


def test_without_the_library_the_same_words_are_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)
    assert words._automaton(list(WORDS)) is None
    assert words.words_in(WORDS)("a ----- ?code") == {"-----", " -", "code", "?code", "a"}


def test_words_of_arguments_are_in_lower_case():
    assert all(word == word.lower() for word in (*masking.ARGUMENT_HINTS, *masking._HINTS, *masking._HINTS_WITH))
