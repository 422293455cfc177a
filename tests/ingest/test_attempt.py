"""What the caller tries itself: recorded with its outcome, and otherwise as if nobody were watching."""

import asyncio
import gc
import json
import sys

import pytest

from failaware.errors import PayloadError, StoreBusy
from tests.conftest import assert_rebuild_changes_nothing, query


def states(store):
    return query(store, "SELECT event_type, sync_status, attempts FROM event_state ORDER BY event_id")


def payload_of(store, event_id=1):
    return json.loads(query(store, f"SELECT event_payload FROM event_log WHERE event_id = {event_id}")[0][0])


def test_a_success_is_synced_and_a_failure_is_dead_and_goes_on_untouched(store, inspector, clock):
    with store.attempt("sync", {"n": 1}, source="cron") as attempt:
        clock.advance(2)
    assert attempt.event_id == 1
    error = ValueError("no such customer")
    with pytest.raises(ValueError, match="no such") as caught, store.attempt("sync", {"n": 2}):
        raise error
    assert caught.value is error
    assert states(store) == [("sync", "SYNCED", 1), ("sync", "DEAD", 1)]
    (first,), (second,) = inspector.event(1).attempts, inspector.event(2).attempts
    assert first.finished_at - first.started_at == 2_000_000
    assert (second.error_type, second.error_message) == ("ValueError", "no such customer")
    assert "raise error" in second.traceback
    assert_rebuild_changes_nothing(store)


def test_tries_under_one_key_are_attempts_at_one_event(store):
    for failing in (True, True, False):
        try:
            with store.attempt("nightly", key="2026-11-24"):
                if failing:
                    raise ConnectionError("refused")
        except ConnectionError:
            pass
    assert states(store) == [("nightly", "SYNCED", 3)]


def test_blocks_within_blocks_are_events_of_their_own(store):
    def inner():
        with store.attempt("inner, good"):
            pass
        with store.attempt("inner, bad"):
            raise KeyError("x")

    with pytest.raises(KeyError), store.attempt("outer"):
        inner()
    assert states(store) == [("inner, good", "SYNCED", 1), ("inner, bad", "DEAD", 1), ("outer", "DEAD", 1)]


def test_leaving_early_is_no_failure_but_an_exit_status_is(store):
    for code in (0, None, 3):
        with pytest.raises(SystemExit), store.attempt(f"exit {code}"):
            sys.exit(code)
    assert [status for _, status, _ in states(store)] == ["SYNCED", "SYNCED", "DEAD"]


def test_a_payload_that_is_refused_is_refused_before_the_block(store):
    with pytest.raises(PayloadError):
        store.attempt("sync", object())
    assert states(store) == []


def test_functions_of_all_kinds(store):
    @store.attempted("plain")
    def plain(a, *, b=2):
        return a / b

    @store.attempted("async")
    async def later(n):
        await asyncio.sleep(0)
        return 1 / n

    @store.attempted("generator")
    def count(n):
        got = yield n
        yield got
        return "done"

    @store.attempted("async generator")
    async def count_async(n):
        for number in range(n):
            yield number

    async def all_of(generator):
        return [item async for item in generator]

    assert plain(4) == 2
    with pytest.raises(ZeroDivisionError):
        plain(4, b=0)
    assert asyncio.run(later(1)) == 1
    with pytest.raises(ZeroDivisionError):
        asyncio.run(later(0))
    generator = count(5)
    assert next(generator) == 5
    assert generator.send("sent") == "sent"
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "done"
    unread = count(6)
    next(unread)
    del unread
    gc.collect()
    assert asyncio.run(all_of(count_async(2))) == [0, 1]
    assert plain.__name__ == "plain"
    assert [(kind, status) for kind, status, _ in states(store)] == [
        ("plain", "SYNCED"),
        ("plain", "DEAD"),
        ("async", "SYNCED"),
        ("async", "DEAD"),
        ("generator", "SYNCED"),
        ("generator", "SYNCED"),
        ("async generator", "SYNCED"),
    ]
    assert payload_of(store, 2) == {"a": 4, "b": 0}


def test_async_generators_get_what_is_sent_and_thrown_and_are_closed(store):
    closed = []

    @store.attempted("async generator")
    async def echo():
        got = None
        try:
            while True:
                try:
                    got = yield got
                except KeyError:
                    got = "caught"
        finally:
            closed.append(True)

    async def talk():
        generator = echo()
        await generator.asend(None)
        assert await generator.asend(1) == 1
        assert await generator.athrow(KeyError("x")) == "caught"
        assert closed == []
        await generator.aclose()
        assert closed == [True]
        failing = echo()
        await failing.asend(None)
        with pytest.raises(ValueError, match="mine"):
            await failing.athrow(ValueError("mine"))

    asyncio.run(talk())
    assert [status for _, status, _ in states(store)] == ["SYNCED", "DEAD"]


def test_the_arguments_of_a_call_are_its_payload_whatever_they_are(store):
    class Broken:
        def __repr__(self):
            raise RuntimeError

    class Shop:
        @store.attempted("order")
        def order(self, *items, password=None, **more):
            pass

    Shop().order(1, {"x": (1, {2})}, Broken(), password="tr0ub4dor", when=object)
    assert payload_of(store) == {
        "items": [1, {"x": [1, "{2}"]}, "<Broken>"],
        "password": "[masked]",
        "more": {"when": "<class 'object'>"},
    }
    Shop().order("x" * 2_000_000)
    assert "not recorded" in payload_of(store, 2)["arguments"]
    with pytest.raises(TypeError):
        store.attempted("strict")(lambda: None)("too", "many")
    assert states(store)[-1][:2] == ("strict", "DEAD")


def test_a_payload_may_be_made_of_the_arguments(store):
    @store.attempted("sync", payload=lambda customer, **_: {"customer": customer["id"]})
    def sync(customer, *, force):
        return force

    assert sync({"id": 7, "name": "Ada"}, force=True) is True
    assert payload_of(store) == {"customer": 7}


def test_the_callers_error_comes_before_ours(store, monkeypatch):
    def busy(_job):
        raise StoreBusy("someone else writes")

    monkeypatch.setattr(store, "write", busy)
    warned = pytest.warns(RuntimeWarning, match="someone else writes")
    with warned, pytest.raises(ValueError, match="mine"), store.attempt("sync"):
        raise ValueError("mine")
    with pytest.raises(StoreBusy), store.attempt("sync"):
        pass
    assert states(store) == []
