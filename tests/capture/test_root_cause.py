"""What an exception goes back to: the same inside a pool of processes and outside, and never how it came here."""

import asyncio
import concurrent.futures
import multiprocessing
import traceback
from concurrent.futures import ProcessPoolExecutor

import pytest

from failaware.capture.exceptions import describe
from failaware.capture.root_cause import root_cause


def broken(n):
    raise ValueError(f"order {n} is broken")


def chained(n):
    try:
        broken(n)
    except ValueError as error:
        raise RuntimeError("not charged") from error


def grouped(n):
    raise ExceptionGroup("several", [ValueError(f"order {n} is broken"), KeyError(n)])


def executor(work):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        list(pool.map(work, [4711]))


def pool(work):
    with multiprocessing.get_context("fork").Pool(1) as workers:
        workers.map(work, [4711])


def pool_in_a_pool(work):
    executor(pool_of[work])


def broken_in_a_pool(_):
    pool(broken)


def chained_in_a_pool(_):
    pool(chained)


pool_of = {broken: broken_in_a_pool, chained: chained_in_a_pool}


def caught(call, *args):
    try:
        call(*args)
    except Exception as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("run", "work"),
    [(run, work) for run in (executor, pool) for work in (broken, chained, grouped)]
    + [(pool_in_a_pool, broken), (pool_in_a_pool, chained)],
)
@pytest.mark.thinned
def test_what_a_pool_of_processes_raises_is_what_was_raised_in_it(run, work):
    inside, outside = caught(run, work), caught(work, 4711)
    here, there = describe(inside), describe(outside)
    assert (here.error_type, here.error_message, here.cause) == (there.error_type, there.error_message, there.cause)
    assert f"in {work.__name__}" in here.traceback
    text = "".join(traceback.format_exception(inside))
    if work is not grouped:
        assert root_cause(text) == there.cause


async def _timeout():
    async with asyncio.timeout(0):
        await asyncio.sleep(9)


async def _wait_for():
    await asyncio.wait_for(asyncio.sleep(9), 0.001)


async def _cancelled_group():
    raise BaseExceptionGroup("both", [asyncio.CancelledError(), ValueError("x")])


def _of_future():
    try:
        raise concurrent.futures.CancelledError
    except concurrent.futures.CancelledError as error:
        raise LookupError("no answer") from error


class _MyCancelledError(asyncio.CancelledError):
    pass


def _of_subclass():
    raise TimeoutError from _MyCancelledError()


@pytest.mark.parametrize(
    "call", [lambda: asyncio.run(_timeout()), lambda: asyncio.run(_wait_for()), _of_future, _of_subclass]
)
def test_a_cancellation_is_no_cause(call):
    error = caught(call)
    assert describe(error).cause is None
    if call is not _of_subclass:
        assert root_cause("".join(traceback.format_exception(error))) is None


def test_a_cancellation_beside_a_failure_is_no_cause():
    error = None
    try:
        asyncio.run(_cancelled_group())
    except BaseExceptionGroup as raised:
        error = raised
    assert describe(error).cause == "ValueError: x"


def test_what_a_cancellation_comes_from_is_not_looked_for():
    error, cancelled = TimeoutError("mine"), asyncio.CancelledError()
    error.__cause__, cancelled.__cause__ = cancelled, KeyError("x")
    assert describe(error).cause is None
