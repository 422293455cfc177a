"""The inbox writes what several requests bring in one transaction, and no request waits for others without need."""

import asyncio
import threading
import time

import pytest

from failaware.facts.batch import Appended
from failaware.ingest.chunk import Collected
from failaware.serve.inbox import Inbox

LONG = 10


class Session:
    """Counts the events of each transaction; with `is_held`, a transaction waits until the test lets it go on."""

    def __init__(self):
        self.sizes, self.is_held = [], False
        self.may_write = threading.Semaphore(0)

    def ingest(self, events, rejects, *, refuse):
        self.sizes.append(len(events))
        if self.is_held:
            assert self.may_write.acquire(timeout=LONG)
        return Appended(0, [])


def one_event():
    collected = Collected(None, time.time_ns, "test")
    collected.events.append(None)
    return collected


@pytest.fixture
async def session():
    return Session()


@pytest.fixture
async def inbox(session):
    inbox = Inbox(session)
    yield inbox
    session.is_held = False
    session.may_write.release(100)
    await inbox.close()


def put(inbox, count):
    return [asyncio.create_task(inbox.put(one_event(), 1)) for _ in range(count)]


async def until(condition):
    async with asyncio.timeout(LONG):
        while not condition():
            await asyncio.sleep(0.001)


async def test_what_arrives_during_a_transaction_is_written_together(session, inbox):
    session.is_held = True
    first = put(inbox, 1)
    await until(lambda: session.sizes == [1])
    later = put(inbox, 5)
    await asyncio.sleep(0)
    session.may_write.release(2)
    assert [written.recorded for written in await asyncio.gather(*first, *later)] == [1] * 6
    assert session.sizes == [1, 5]


async def test_clients_that_come_again_after_their_answer_are_written_together(session, inbox):
    async def client():
        for _ in range(10):
            await inbox.put(one_event(), 1)
            await asyncio.sleep(0)

    async with asyncio.timeout(LONG):
        await asyncio.gather(*(client() for _ in range(20)))
    assert sum(session.sizes) == 200
    assert len(session.sizes) < 30, session.sizes


async def test_a_client_that_comes_alone_after_a_crowd_is_written_soon(session, inbox):
    await asyncio.gather(*put(inbox, 50))
    async with asyncio.timeout(LONG):
        await inbox.put(one_event(), 1)
    assert (sum(session.sizes), session.sizes[-1]) == (51, 1)


async def test_closing_writes_what_waits(session, inbox):
    session.is_held = True
    put(inbox, 1)
    await until(lambda: session.sizes == [1])
    waiting = put(inbox, 3)
    await asyncio.sleep(0)
    session.may_write.release(2)
    await inbox.close()
    assert session.sizes == [1, 3]
    assert [task.result().recorded for task in waiting] == [1, 1, 1]


async def test_a_request_whose_client_is_gone_is_not_written_later(session, inbox):
    session.is_held = True
    put(inbox, 1)
    await until(lambda: session.sizes == [1])
    (gone,) = put(inbox, 1)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    session.may_write.release(2)
    await inbox.put(one_event(), 1)
    assert session.sizes == [1, 1]
