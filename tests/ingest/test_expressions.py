"""Expressions give what jmespath's own interpreter gives, faster; and functions of ours accept any value."""

from datetime import UTC, datetime

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware.errors import UsageError
from failaware.ingest import functions
from failaware.ingest.expressions import compiled
from failaware.ingest.functions import FUNCTIONS
from tests.sizes import sized

NAMES = ("a", "b", "@c")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 60) | st.sampled_from([0.5, "", "a", "error", "50"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
LEAVES = st.sampled_from(
    ["a", "b", '"@c"', "@", "`0`", "`50`", "'error'", "`null`", "`[]`", "a[0]", "a[-1]", "a.b", "a[*].b"]
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("({0[0]} || {0[1]})".format),
        st.tuples(inner, inner).map("({0[0]} && {0[1]})".format),
        st.tuples(inner, inner).map("({0[0]} | {0[1]})".format),
        st.tuples(inner, st.sampled_from(["==", "!="]), inner).map("({0[0]} {0[1]} {0[2]})".format),
        st.tuples(inner, inner).map("[{0[0]}, {0[1]}]".format),
        inner.map("!({})".format),
        inner.map("type({})".format),
        inner.map("not_null({})".format),
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, VALUES)
@settings(max_examples=sized(150, 2_000), deadline=None)
def test_an_expression_gives_what_jmespath_gives(expression, value):
    assert compiled(expression)(value) == jmespath.search(expression, value)


@pytest.mark.parametrize("order", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("pair", [(1, 2), (2, 2), (2.5, 2), ("a", "b"), (None, 1), ([1], 2), (True, 2)])
def test_an_order_is_one_of_numbers_or_of_texts(order, pair):
    left, right = pair
    expected = jmespath.search(f"l {order} r", {"l": left, "r": right})
    assert compiled(f"l {order} r")({"l": left, "r": right}) == expected


def test_numbers_and_texts_have_no_order():
    assert compiled("a > `1`")({"a": "2"}) is None  # jmespath raises TypeError


@pytest.mark.parametrize("expression", ["foo(", "a ==", "nope(a)", "rank()", "rank(a, b)", ""])
def test_what_is_no_expression_is_refused_with_its_text(expression):
    with pytest.raises(UsageError, match=r"expression|function"):
        compiled(expression)


def test_a_value_of_a_wrong_type_is_named():
    with pytest.raises(UsageError, match="cannot be evaluated"):
        compiled("length(a)")({"a": 1})


@pytest.mark.parametrize("name", FUNCTIONS)
@given(values=st.lists(VALUES, min_size=2, max_size=2))
@settings(max_examples=sized(20, 200), deadline=None)
@pytest.mark.thinned
def test_a_function_accepts_any_value(name, values):
    function = FUNCTIONS[name]
    count = function.__code__.co_argcount - len(function.__defaults__ or ())
    function(*values[: count or 2])


@pytest.mark.parametrize(
    ("given", "micros"),
    [
        (1795950785, 1795950785_000000),
        (1795950785329, 1795950785_329000),
        ("1795950785329", 1795950785_329000),
        ("1795950785.329", 1795950785_329000),
        ("1795950785329456", 1795950785_329456),
        ("2026-11-29T11:13:05.329Z", 1795950785_329000),
        ("2026-11-29T12:13:05,329+01:00", 1795950785_329000),
        ("2026-11-29 11:13:05 +0000", 1795950785_000000),
        ("2026/11/29 11:13:05 UTC", 1795950785_000000),
        ("29/Nov/2026:11:13:05 +0000", 1795950785_000000),
        ("Sun, 29 Nov 2026 11:13:05 GMT", 1795950785_000000),
        ("2026-11-29T11:13:05.329456789Z", 1795950785_329456),
        *((value, None) for value in ("yesterday", "", None, True, [], {}, "2026-13-01", float("nan"), 10**30)),
    ],
)
def test_a_time_is_read_in_any_usual_form(given, micros):
    assert FUNCTIONS["time"](given) == micros


def test_a_time_without_a_zone_is_local(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert FUNCTIONS["time"]("2026-11-29 20:13:05") == 1795950785_000000
        assert FUNCTIONS["time"]("29.11.2026 20:13", "%d.%m.%Y %H:%M") == 1795950780_000000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("level", "rank"),
    [
        ("ERROR", 40),
        ("err", 40),
        ("Warn", 30),
        ("fatal", 50),
        ("50", 50),
        (3, 3),
        ("loud", None),
        (None, None),
        (True, None),
    ],
)
def test_levels_have_ranks(level, rank):
    assert FUNCTIONS["rank"](level) == rank


def test_a_date_without_a_year_is_the_last_one(monkeypatch):
    class Now(datetime):
        @classmethod
        def now(cls):
            return cls(2028, 3, 1, 0, 0, 5)

    monkeypatch.setattr(functions, "datetime", Now)
    moments = {
        text: datetime.fromtimestamp(functions.time(text) / 1_000_000, UTC)
        .astimezone()
        .replace(tzinfo=None)
        .isoformat(sep=" ")
        for text in ("Feb 29 23:59:59", "Mar  1 00:00:10", "Dec 31 10:00:00", "Mar  9 00:00:00")
    }
    assert list(moments.values()) == [
        "2028-02-29 23:59:59",
        "2028-03-01 00:00:10",  # another machine's clock may be ahead
        "2027-12-31 10:00:00",
        "2027-03-09 00:00:00",
    ]
    assert functions.time("Feb 30 00:00:00") is None
