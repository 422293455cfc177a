"""No regular expression of a user runs forever on any message."""

import re
import time

import pytest

from failaware import Handlers, Retry, Store, UsageError, Worker
from failaware.derive.grouping.expressions import search
from failaware.derive.grouping.groups import GroupingRules

REFUSED = [
    r"^(a+)+$",
    r"^(\w+\s?)+$",
    r"(a|a)*b",
    r"(?:[\w-]+\.)+com",
    r"(a{1,20}){1,20}b",
    r"(?:.{0,9}){9}x",
    r"(?>(a+)+)b",
    r"(?=(a*)*b)",
    r"x(?!(a|ab)*c)",
    "a?" * 30 + "a" * 30,
    r".*.*.*.*x",
]
SLOW = [
    r".*.*.*x",
    r"a*a*a*b",
    r"(?s).*a.*b",
    r"\s+\d+$",
    r"(.*)\1x",
    r"(?:\s*,?\s*)(?:\s*,?\s*)x",
    r"\d+ ms after \d+x",
]
"""Allowed, and shown less of a text."""

USUAL = [
    (r"tenant (?P<tenant>\w+)", "no room for tenant acme today"),
    (r"upstream .* failed with .*$", "upstream eu-1 failed with 503"),
    (r"(\d{1,3}\.){3}\d{1,3}", "no route to 10.0.0.1"),
    (r"(?i)time(d)? ?out", "request Timed out"),
    (r'File ".*checkout', 'Traceback\n  File "/srv/shop/checkout.py", line 3\n' + "  more\n" * 200),
]


def rules(expression, **more):
    quoted = expression.replace("'''", "")
    return GroupingRules.from_toml(f"[[rule]]\nmessage = '''{quoted}'''\ngroup = 'x'\n", **more)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_could_take_for_ever_is_refused(expression):
    with pytest.raises(UsageError, match="because a message could stop"):
        rules(expression)


@pytest.mark.parametrize("expression", REFUSED)
def test_one_that_a_store_has_already_matches_nothing_and_takes_no_time(expression):
    rule = rules(expression, stored=True).rules[0]
    begun = time.process_time()
    assert search(rule.message, "a" * 60 + "!") is None
    assert time.process_time() - begun < 1


@pytest.mark.thinned
@pytest.mark.parametrize("expression", SLOW)
def test_what_has_many_ways_to_match_is_shown_little(expression):
    rules(expression)
    compiled = re.compile(expression)
    for text in ("a", "1", " ", ",", "ab", "a" * 63 + "\n", "a" * 511 + "\n", "1" * 2_047 + "\n"):
        begun = time.process_time()
        search(compiled, (text * 70_000)[:70_000] + "!")
        assert time.process_time() - begun < 10  # a fraction of a second; without a limit, hours


@pytest.mark.parametrize(("expression", "text"), USUAL)
def test_usual_ones_match_as_ever(expression, text):
    rules(expression)
    assert search(re.compile(expression), text)[0] == re.search(expression, text)[0]


def test_a_careless_rule_in_a_store_stops_nobody(store, path):
    store.rebuild(grouping=rules(r"^(\w+\s?)+$", stored=True))
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=1))
    def handle(event):
        raise ValueError("a" * 40 + "!")

    store.record("a", 1)
    Worker(store, handlers).run(until_idle=True, patience=0)
    with Store.open(path) as other:
        assert other.record("b").event_id == 2
