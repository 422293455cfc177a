"""Attempts made by the caller: the outcome is recorded, and the exception propagates unchanged."""

import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import inspect
import json
import sys
import types
import warnings

import pytest

from failaware.errors import PayloadError, StoreBusy, UsageError
from tests.capture.misbehaving import MISBEHAVING
from tests.capture.test_json_values import READABLE, VALUES
from tests.conftest import assert_rebuild_changes_nothing, query


def states(store):
    return query(store, "SELECT event_type, sync_status, attempts FROM event_state ORDER BY event_id")


def payload_of(store, event_id=1):
    return json.loads(query(store, f"SELECT event_payload FROM event_log WHERE event_id = {event_id}")[0][0])


@pytest.mark.thinned
@pytest.mark.tour
def test_a_success_is_synced_and_a_failure_is_dead_and_propagates_unchanged(store, inspector, clock):
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


@pytest.mark.tour
def test_blocks_under_one_key_are_attempts_at_one_event(store):
    for failing in (True, True, False):
        try:
            with store.attempt("nightly", key="2026-11-24"):
                if failing:
                    raise ConnectionError("refused")
        except ConnectionError:
            pass
    assert states(store) == [("nightly", "SYNCED", 3)]


@pytest.mark.tour
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


@pytest.mark.tour
@pytest.mark.parametrize("as_errors", [False, True])
@pytest.mark.parametrize("error", [None, ValueError("mine")])
@pytest.mark.parametrize("refusal", [StoreBusy("someone else writes"), OSError("someone else writes")])
def test_an_outcome_that_cannot_be_written_is_a_warning(store, monkeypatch, capsys, as_errors, error, refusal):
    def refuse(_job):
        raise refusal

    @store.attempted("report.render")
    def render():
        if error is not None:
            raise error
        return "rendered"

    async def block():
        async with store.attempt("sync"):
            return render()

    monkeypatch.setattr(store.session, "write", refuse)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("error" if as_errors else "always")
        for call in (render, lambda: asyncio.run(block())):
            if error is None:
                assert call() == "rendered"
            else:
                with pytest.raises(ValueError, match="mine") as caught:
                    call()
                assert caught.value is error
    text = capsys.readouterr().err if as_errors else "".join(str(warning.message) + "\n" for warning in warned)
    assert text.count(f"could not record a {'failure' if error else 'success'}: someone else writes\n") == 3
    assert states(store) == []


@pytest.mark.tour
def test_a_store_that_is_closed_changes_nothing(store, path):
    @store.attempted("report.render")
    def render():
        return "rendered"

    store.close()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert render() == "rendered"
        with store.attempt("sync"):
            pass
    assert all("could not record a success" in str(warning.message) for warning in warned)
    assert [warning.filename for warning in warned] == [__file__] * 2


def test_a_loop_that_is_shutting_down_records(store):
    async def late():
        async with store.attempt("sync"):
            await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(late())
    assert states(store) == [("sync", "SYNCED", 1)]


def test_another_librarys_loop_records(store):
    async def block():
        async with store.attempt("sync"):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        block().send(None)
    assert states(store) == [("sync", "DEAD", 1)]


@pytest.mark.parametrize("name", MISBEHAVING)
def test_an_exception_that_misbehaves_is_recorded_and_propagates_unchanged(store, name):
    error, caught = MISBEHAVING[name](), None
    try:
        with store.attempt("sync"):
            raise error
    except BaseException as raised:
        caught = raised
    assert caught is error
    assert states(store) == [("sync", "DEAD", 1)]


@pytest.mark.parametrize("code", [["a", "list"], {}, "no space left", -1, 0.0, False])
def test_any_exit_status_propagates_unchanged(store, code):
    with pytest.raises(SystemExit) as caught, store.attempt("exit"):
        sys.exit(code)
    assert caught.value.code is code
    assert [status for _, status, _ in states(store)] == ["SYNCED" if code is False else "DEAD"]


@pytest.mark.thinned
@pytest.mark.parametrize("name", [*VALUES, *READABLE])
def test_a_function_is_called_whatever_its_arguments_are(store, name):
    argument = VALUES[name][0] if name in VALUES else READABLE[name]
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


def test_a_block_begins_when_it_is_entered(store, inspector, clock):
    attempt = store.attempt("late")
    clock.advance(60)
    for seconds in (1, 2):
        with attempt:
            assert attempt.event_id is None
            clock.advance(seconds)
        clock.advance(60)
    for event_id, seconds in ((1, 1), (2, 2)):
        event = inspector.event(event_id)
        (only,) = event.attempts
        assert only.finished_at - only.started_at == seconds * 1_000_000
        assert event.detected_at == event.occurred_at == only.started_at


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


def cancelled_by_timeout(store):
    async def run():
        async with asyncio.timeout(0.01):
            async with store.attempt("left"):
                await asyncio.sleep(9)

    with pytest.raises(TimeoutError):
        asyncio.run(run())


def cancelled_by_sibling(store):
    @store.attempted("left")
    async def left():
        await asyncio.sleep(9)

    async def fail():
        raise LookupError

    async def run():
        async with asyncio.TaskGroup() as group:
            group.create_task(left())
            group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        asyncio.run(run())


def cancelled_by_caller(store):
    @store.attempted("left")
    async def left():
        yield await asyncio.sleep(9)

    async def run():
        task = asyncio.ensure_future(anext(left()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())


def cancelled_in_a_plain_block(store):
    async def run():
        with store.attempt("left"):
            raise BaseExceptionGroup("all", [asyncio.CancelledError(), asyncio.CancelledError()])

    with pytest.raises(BaseExceptionGroup):
        asyncio.run(run())


@pytest.mark.parametrize(
    "cancelled", [cancelled_by_timeout, cancelled_by_sibling, cancelled_by_caller, cancelled_in_a_plain_block]
)
def test_a_task_that_is_cancelled_has_neither_succeeded_nor_failed(store, cancelled):
    cancelled(store)
    assert states(store) == []


def test_a_cancelled_attempt_does_not_resolve_what_failed(store):
    for error in (ConnectionError("refused"), asyncio.CancelledError()):
        with pytest.raises(type(error)), store.attempt("nightly", key="2026-11-24"):
            raise error
    assert states(store) == [("nightly", "DEAD", 1)]


def test_what_a_cancellation_became_is_a_failure_of_its_own_name(store, inspector):
    async def run():
        async with store.attempt("timeout"):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(9)

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    (attempt,) = inspector.event(1).attempts
    assert attempt.error_type == "TimeoutError"
    assert query(store, "SELECT cause FROM attempt_log") == [(None,)]
    with pytest.raises(concurrent.futures.CancelledError), store.attempt("waited for"):
        raise concurrent.futures.CancelledError  # another's work was cancelled, this one's was not
    assert states(store)[-1] == ("waited for", "DEAD", 1)


@pytest.mark.tour
def test_a_coroutine_records_on_a_thread(store):
    async def run():
        return await asyncio.to_thread(store.record, "order.created", {"order": 17})

    assert asyncio.run(run()).event_id == 1


def outcomes(store):
    return query(store, "SELECT outcome, error_type FROM attempt_log ORDER BY attempt_id")


@pytest.mark.sqlite("what is recorded is the same on both")
def test_a_future_ends_the_attempt_when_it_is_done_and_is_returned_as_it_is(store):
    made = [concurrent.futures.Future() for _ in range(4)]
    results = [store.attempted("job", payload=lambda: None)(lambda future=future: future)() for future in made]
    assert all(result is future for result, future in zip(results, made, strict=True))
    assert outcomes(store) == []
    made[0].set_result(1)
    made[1].set_exception(ValueError("bad"))
    made[2].cancel()
    made[2].set_running_or_notify_cancel()
    assert outcomes(store) == [("SYNCED", None), ("FAILED", "ValueError")]


@pytest.mark.sqlite("what is recorded is the same on both")
def test_a_task_ends_the_attempt_when_it_is_done(store, caplog):
    async def work(error):
        await asyncio.sleep(0)
        if error:
            raise error
        return 7

    @store.attempted("job", payload=lambda _error: None)
    def start(error):
        return asyncio.get_running_loop().create_task(work(error))

    async def main():
        task = start(None)
        assert isinstance(task, asyncio.Task)
        assert outcomes(store) == []
        assert await task == 7
        with pytest.raises(KeyError):
            await start(KeyError("k"))
        unread = start(ValueError("never read"))
        await asyncio.wait([unread])
        del unread
        gc.collect()
        left = start(None)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left

    asyncio.run(main())
    assert sorted(outcomes(store), key=str) == [("FAILED", "KeyError"), ("FAILED", "ValueError"), ("SYNCED", None)]
    assert "never retrieved" in caplog.text  # asyncio still reports it


@pytest.mark.sqlite("what is recorded is the same on both")
@pytest.mark.parametrize("error", [None, ValueError("bad")])
def test_the_context_of_a_generator_ends_the_attempt_when_it_is_left(store, error):
    @store.attempted("job")
    @contextlib.contextmanager
    def opened(n):
        yield n

    @store.attempted("job")
    @contextlib.asynccontextmanager
    async def opened_async(n):
        yield n

    async def use():
        async with opened_async(1) as n:
            assert (n, outcomes(store)[1:]) == (1, [])
            if error:
                raise error

    with pytest.raises(ValueError, match="bad") if error else contextlib.nullcontext(), opened(5) as n:
        assert (n, outcomes(store)) == (5, [])
        if error:
            raise error
    with pytest.raises(ValueError, match="bad") if error else contextlib.nullcontext():
        asyncio.run(use())
    assert outcomes(store) == [("FAILED", "ValueError") if error else ("SYNCED", None)] * 2
