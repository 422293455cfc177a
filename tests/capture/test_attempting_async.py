"""Attempts of coroutines, tasks and futures: when they end, and what a cancellation is."""

import asyncio
import concurrent.futures
import contextlib
import gc

import pytest

from tests.conftest import query


def states(store):
    return query(store, "SELECT event_type, sync_status, attempts FROM event_state ORDER BY event_id")


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
