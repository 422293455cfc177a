"""The decorator `attempted`: functions of all kinds are called as before, and each call is an attempt."""

import asyncio
import functools
import gc
import inspect
import json
import sys
import types

import pytest

from failaware.errors import UsageError
from tests.capture.test_json_values import READABLE, VALUES, value_of
from tests.conftest import query


def states(store):
    return query(store, "SELECT event_type, sync_status, attempts FROM event_state ORDER BY event_id")


def payload_of(store, event_id=1):
    return json.loads(query(store, f"SELECT event_payload FROM event_log WHERE event_id = {event_id}")[0][0])


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


@pytest.mark.thinned
@pytest.mark.parametrize("name", [*VALUES, *READABLE])
def test_a_function_is_called_whatever_its_arguments_are(store, name):
    argument = value_of(name)
    called = []
    store.attempted("render")(lambda signature, **_: called.append(signature))(argument, self=1)
    assert called[0] is argument
    assert states(store) == [("render", "SYNCED", 1)]
    assert payload_of(store)


@pytest.mark.parametrize("payload", [lambda *_: 1 / 0, lambda: None, lambda *_: sys.exit(3), lambda *_: object])
def test_a_function_is_called_whatever_makes_its_payload(store, payload):
    assert store.attempted("render", payload=payload)(lambda tree: tree)("done") == "done"
    assert states(store) == [("render", "SYNCED", 1)]


def test_a_function_without_a_signature_is_called(store):
    assert store.attempted("render")(dict)(a=1) == {"a": 1}
    assert payload_of(store) == {"args": [], "kwargs": {"a": 1}}


def test_a_name_that_is_wrong_is_refused_where_the_function_is_decorated(store):
    for wrong in ({"event_type": "a\nb"}, {"event_type": "x", "source": 5}):
        with pytest.raises(UsageError):
            store.attempted(**wrong)


@pytest.mark.parametrize("decorated", [5, None, "render", property(lambda _: 1)])
def test_what_is_no_function_is_refused_where_it_is_decorated(store, decorated):
    with pytest.raises(UsageError, match="decorates a function"):
        store.attempted("render")(decorated)


def test_methods_of_all_kinds_are_called_as_before(store):
    class Report:
        @store.attempted("static")
        @staticmethod
        def static(n):
            return n

        @store.attempted("class")
        @classmethod
        def of_class(cls, n):
            return cls, n

        @store.attempted("plain")
        def plain(self, n):
            return self, n

    report = Report()
    assert (Report.static(1), report.static(2)) == (1, 2)
    assert (Report.of_class(3), report.of_class(4)) == ((Report, 3), (Report, 4))
    assert report.plain(5) == (report, 5)
    assert [payload_of(store, n) for n in range(1, 6)] == [{"n": n} for n in range(1, 6)]


class CallGenerator:
    def __call__(self):
        yield 1
        raise ValueError("late")


class CallAsyncGenerator:
    async def __call__(self):
        yield 1
        raise ValueError("late")


class CallCoroutine:
    async def __call__(self):
        raise ValueError("late")


def wrapped(function):
    @functools.wraps(function)
    def wrapper():
        return function()

    return wrapper


@types.coroutine
def old_coroutine():
    yield from asyncio.sleep(0).__await__()
    raise ValueError("late")


LATE = {
    "object, generator": CallGenerator(),
    "object, async generator": CallAsyncGenerator(),
    "object, coroutine": CallCoroutine(),
    "wrapped generator": wrapped(CallGenerator.__call__.__get__(1)),
    "wrapped async generator": wrapped(CallAsyncGenerator.__call__.__get__(1)),
    "wrapped coroutine": wrapped(CallCoroutine.__call__.__get__(1)),
    "partial": functools.partial(CallGenerator.__call__, None),
    "coroutine of the old kind": old_coroutine,
    "wrapped coroutine of the old kind": wrapped(old_coroutine),
}


async def exhaust(result):
    if hasattr(result, "__aiter__"):
        return [item async for item in result]
    return list(result) if hasattr(result, "__iter__") and not inspect.isawaitable(result) else await result


@pytest.mark.parametrize("name", LATE)
def test_what_fails_after_it_was_called_is_no_success(store, name):
    with pytest.raises(ValueError, match="late"):
        asyncio.run(exhaust(store.attempted("render")(LATE[name])()))
    assert states(store) == [("render", "DEAD", 1)]


def test_a_generator_that_others_hold_is_handed_on_as_it_is(store):
    shared = iter_of_three = (n for n in range(3))
    assert store.attempted("share")(lambda: shared)() is iter_of_three


def test_a_plain_function_that_returns_a_coroutine_has_not_ended(store):
    async def work(n):
        await asyncio.sleep(0)
        return 1 / n

    @store.attempted("later")
    def started(n):
        return work(n)

    assert asyncio.run(started(1)) == 1
    with pytest.raises(ZeroDivisionError):
        asyncio.run(started(0))
    assert states(store) == [("later", "SYNCED", 1), ("later", "DEAD", 1)]


def test_calls_with_one_key_are_attempts_at_one_event(store):
    @store.attempted("bill", key=lambda month: f"bill:{month}")
    def bill(month):
        if month in failing:
            raise ConnectionError("refused")

    failing = {"2026-11"}
    with pytest.raises(ConnectionError):
        bill("2026-11")
    bill(month="2026-12")
    failing.clear()
    bill("2026-11")
    assert query(store, "SELECT sync_status, attempts FROM event_state ORDER BY event_id") == [
        ("SYNCED", 2),
        ("SYNCED", 1),
    ]

    @store.attempted("nightly", key="nightly")
    async def nightly():
        return 7

    assert [asyncio.run(nightly()), asyncio.run(nightly())] == [7, 7]
    assert query(store, "SELECT attempts FROM event_state WHERE event_id = 3") == [(2,)]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (lambda n: {}[n], "KeyError"),
        (lambda: "x", "TypeError"),
        (lambda n: n, "must be a string"),
        (lambda n: "", "without its key: the key must have 1 to 512"),
        (lambda n: "taken", "belongs to event 1"),
    ],
)
def test_a_call_whose_key_cannot_be_used_is_made_and_recorded_without_it(store, key, reason):
    store.record("other", key="taken")

    @store.attempted("work", key=key)
    def work(n):
        return n + 1

    with pytest.warns(RuntimeWarning, match=reason):
        assert work(1) == 2
    assert query(store, "SELECT event_type, sync_status FROM event_state WHERE event_id = 2") == [("work", "SYNCED")]
