"""Hostile text is escaped for terminals and storable in databases."""

import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware.text import (
    arrows,
    bounded,
    cells,
    distance,
    fitting,
    is_url,
    json_harmless,
    microseconds,
    misfit,
    one_line,
    span,
    sparkline,
    storable,
    visible,
)

ANY = st.text(st.characters(categories=None))  # surrogates included
SECOND = 1_000_000


@given(ANY)
def test_nothing_that_a_terminal_obeys_is_left(text):
    for shown in (visible(text), one_line(text)):
        assert not any(unicodedata.category(c) in ("Cc", "Cs") or c in "\u202e\u2066\u200b\ufeff" for c in shown)
        shown.encode()


@given(ANY)
def test_line_ends_may_be_kept(text):
    kept = visible(text, keep_newlines=True)
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in kept)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("[bold]markup[/]", "[bold]markup[/]"),
        ("naïve 日本 🙂", "naïve 日本 🙂"),
        ("tag\U000e0041", "tag\\U000e0041"),
    ],
)
def test_how_it_is_shown(text, shown):
    assert visible(text) == shown


@given(ANY, st.integers(1, 80))
def test_one_line_fits_its_width(text, width):
    cells = sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in one_line(text, width)
    )
    assert cells <= width


def test_line_ends_and_a_cut_can_be_seen():
    assert one_line("a\r\nb\nc") == "a ⏎ b ⏎ c"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("abcd", 4) == "abcd"


@given(ANY, st.integers(0, 300))
def test_bounded_keeps_both_ends_within_its_limit(text, limit):
    kept = bounded(text, limit)
    assert len(kept) <= limit or kept == text
    if len(text) > limit > 100:
        assert kept[:10] == text[:10]
        assert kept[-10:] == text[-10:]
        assert "characters left out" in kept


@given(ANY)
def test_storable_is_utf8_without_nul(text):
    assert "\x00" not in storable(text).encode().decode()


def test_times_and_bars():
    now = 1_795_000_000 * SECOND
    assert distance(now, now) == "now"
    assert distance(now - 90 * SECOND, now) == "1 min ago"
    assert distance(now + 3 * 3600 * SECOND, now) == "in 3 h"
    assert sparkline([0, 1, 4, 8]) == "·▂▅█"
    assert sparkline([]) == ""


@pytest.mark.parametrize(
    ("microseconds", "words"),
    [
        (0, "0 ms"),
        (999_999, "999 ms"),
        (SECOND, "1 s"),
        (119 * SECOND, "119 s"),
        (120 * SECOND, "2 min"),
        (7_199 * SECOND, "119 min"),
        (7_200 * SECOND, "2 h"),
        (172_799 * SECOND, "47 h"),
        (172_800 * SECOND, "2 d"),
        (10_000 * 86_400 * SECOND, "10,000 d"),
    ],
)
def test_how_long_something_took(microseconds, words):
    assert span(microseconds) == words


def test_of_many_steps_the_middle_is_left_out():
    assert arrows(["A ×5", "B ×3", "DEAD"]) == "A ×5 → B ×3 → DEAD"
    assert arrows([str(n) for n in range(12)]).count("→") == 11
    assert arrows([str(n) for n in range(100)], most=4) == "0 → 1 → … 96 steps … → 98 → 99"


@given(st.lists(ANY))
def test_steps_are_harmless_and_short(steps):
    line = arrows(steps, most=4, width=10)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in line)
    assert cells(line) <= 5 * 10 + 4 * len(" → ")
    assert len(line) < 400


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("日本", 4), ("🙂", 2), ("e\u0301", 1), ("⚠\ufe0f", 1), ("1\ufe0f\u20e3", 1), ("が", 2)],
)
def test_how_many_cells_it_takes(text, width):
    assert cells(text) == width


@given(st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones()))
def test_a_time_is_kept_to_the_microsecond(moment):
    """Floats have 53 bits, which are not enough for all of them."""
    at = microseconds(moment)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at) == aware.astimezone(UTC)


def test_a_time_that_is_known():
    assert microseconds(datetime.fromisoformat("1969-12-31T23:59:59.5")) == -500_000
    assert microseconds(datetime.fromisoformat("2039-05-04T03:02:01.000003+02:00")) == 2_188_083_721_000_003


def test_a_url_is_told_from_a_path():
    assert is_url("postgresql://user@host/database")
    assert not is_url("folder/failaware.db")


INVISIBLE = [
    *"\u3164\u115f\u1160\uffa0\u2800\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f\ufe00\ufe0f\U000e0100\U000e01ef",
    *"\U0001d173\U0001d17a\U0001bca0\U0001bca3\U00013430\U0001d159\u200b\u200c\u200d\u202e\u2028\u0085\x9b\x90\ufff3",
    *"\ufeff\u00ad\u061c\u180e\u2060\u2066\U000e0041\U000e0001\U000e0fff\ufffe\ufdd0\x7f\ud800",
]
SEEN = [
    "naïve 日本",
    "nom : prénom",
    "❤️ ☎︎ 1️⃣ #️⃣ ©️ 🏳️",
    "نمی",
    "हिन्दी",
    "Screenshot 9.41.00\u202fAM.png",
    "\u0600",
    "\ue0b0",
    "\U0001fae9",
]


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_what_cannot_be_seen_is_shown_as_an_escape(character):
    for shown in (visible(f"pay{character}"), one_line(f"pay{character} x")):
        assert character not in shown
        assert shown.startswith("pay\\")
    assert json_harmless(f'"pay{character}"').isascii()
    if character != "\ud800":
        assert json.loads(json_harmless(f'"pay{character}"')) == f"pay{character}"


@pytest.mark.parametrize("text", SEEN)
def test_what_can_be_seen_is_shown_as_it_is(text):
    assert visible(text) == one_line(text) == json_harmless(text) == fitting(text) == text
    assert misfit(text) is None


@given(ANY)
def test_no_character_that_unicode_calls_a_format_is_left(text):
    visible_formats = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    assert not any(unicodedata.category(c) in ("Cf", "Zl", "Zp") and c not in visible_formats for c in visible(text))
