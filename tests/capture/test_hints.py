"""Words are found in one pass over a text, with and without the library for it."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware.capture.secrets import masking, words
from tests.sizes import sized

WORDS = ("-----", " -", "pass", "passcode", "code", "?code", "@", "$", "a", "ab", "пароль")
texts = st.lists(st.sampled_from((*WORDS, *"-? o\ud800"))).map("".join)


@given(text=texts)
def test_all_words_are_found_even_where_they_overlap(text):
    assert words.words_in(WORDS)(text) == {word for word in WORDS if word in text}


def test_without_the_library_the_same_words_are_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)
    assert words._automaton(list(WORDS)) is None
    assert words.words_in(WORDS)("a ----- ?code") == {"-----", " -", "code", "?code", "a"}


ENDS_WHILE_THREADS_MASK = """
import threading, time
from failaware.capture.secrets.masking import Masker
def mask():
    while True:
        Masker().mask_text("the order 17 was not found in the list " * 100)
for _ in range(8):
    threading.Thread(target=mask, daemon=True).start()
time.sleep(0.1)
"""


def test_a_program_that_ends_while_daemon_threads_mask_keeps_its_exit_status():
    for _ in range(sized(3, 30)):
        done = subprocess.run(
            [sys.executable, "-c", ENDS_WHILE_THREADS_MASK], capture_output=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_once_the_interpreter_ends_the_library_is_not_entered_and_a_stopped_thread_not_waited_for(monkeypatch):
    monkeypatch.setattr(words, "_searching", [None])  # a thread that never comes back
    monkeypatch.setattr(words, "_ended", False)
    monkeypatch.setattr(words, "_WAIT_S", 0.01)
    monkeypatch.setattr(words, "_automaton", lambda _words: pytest.fail)
    find = words.words_in(WORDS)
    words._end()
    assert find("a code") == {"code", "a"}


def test_words_of_arguments_are_in_lower_case():
    assert all(word == word.lower() for word in (*masking.ARGUMENT_HINTS, *masking._HINTS, *masking._HINTS_WITH))
