"""A key belongs to one event type: nothing of another type is recorded, silently lost, or resolved under it."""

import asyncio
import io
import json
import sys

import pytest

from failaware import UsageError
from failaware.errors import KeyConflict
from failaware.facts.append import events
from failaware.ingest.lines import ingest_lines
from failaware.integrations.task_log import TaskLog
from tests.cli.test_exec import run
from tests.conftest import assert_rebuild_changes_nothing, query


def state(store):
    return query(store, "SELECT event_type, sync_status, attempts FROM event_state ORDER BY event_id")


@pytest.fixture
def keyed(store):
    """A store with an event under the key 4711 without an attempt."""
    store.record("invoice.create", key="4711")
    return store


def attempt(store, **more):
    with store.attempt("pdf.render", key="4711", **more):
        raise AssertionError("the block must not begin")


async def attempt_async(store):
    async with store.attempt("pdf.render", key="4711"):
        raise AssertionError("the block must not begin")


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.record("email.send", key="4711"),
        lambda store: store.record_many([("other", 1), {"type": "email.send", "key": "4711"}]),
        lambda store: store.record_many([{"type": "a", "key": "new"}, {"type": "b", "key": "new"}]),
        attempt,
        lambda store: asyncio.run(attempt_async(store)),
    ],
    ids=["record", "record_many", "within one batch", "attempt", "async attempt"],
)
def test_a_key_of_another_type_is_a_usage_error_and_nothing_is_recorded(keyed, use):
    with pytest.raises(KeyConflict, match=r"the key '\w+' belongs to event \d+ of type '[\w.]+'") as caught:
        use(keyed)
    assert isinstance(caught.value, UsageError)
    assert state(keyed) == [("invoice.create", "PENDING", 0)]


def test_a_key_that_is_taken_while_the_block_runs_does_not_replace_its_exception(store):
    def race():
        with store.attempt("pdf.render", key="4711"):
            store.record("invoice.create", key="4711")
            raise ZeroDivisionError

    with pytest.warns(RuntimeWarning, match="belongs to event 1"), pytest.raises(ZeroDivisionError):
        race()
    assert state(store) == [("invoice.create", "PENDING", 0)]


@pytest.mark.parametrize(
    "line",
    [
        {"type": "email.send", "key": "4711"},
        {"type": "email.send", "key": "4711", "error": {"message": "m"}},
        {"specversion": "1.0", "type": "email.send", "source": "47", "id": "11"},
        {"specversion": "1.0", "type": "email.send", "source": "47", "id": "11", "knativeerrorcode": "503"},
    ],
)
def test_a_line_under_a_key_of_another_type_is_a_reject_and_the_others_are_recorded(keyed, line):
    keyed.record("invoice.create", key="47 11")
    lines = [{"type": "a"}, line, {"type": "invoice.create", "key": "4711"}, {"type": "a"}]
    done = ingest_lines(keyed.session, io.BytesIO("\n".join(map(json.dumps, lines)).encode()), origin="file")
    assert (done.recorded, done.known, done.rejected) == (2, 1, 1)
    ((line_no, raw, error),) = query(keyed, "SELECT line_no, raw, error FROM reject_log")
    assert (line_no, json.loads(raw)) == (2, line)
    assert "belongs to event" in error
    assert state(keyed)[:2] == [("invoice.create", "PENDING", 0)] * 2
    assert_rebuild_changes_nothing(keyed)


def test_two_types_under_one_new_key_in_one_input_are_an_event_and_a_reject(store):
    lines = b'{"type":"a","key":"k"}\n{"type":"b","key":"k"}\n{"type":"a","key":"k"}\n'
    done = ingest_lines(store.session, io.BytesIO(lines), origin="file")
    assert (done.recorded, done.known, done.rejected) == (1, 1, 1)


def test_a_task_that_replaced_another_under_its_id_is_recorded_as_an_event_of_its_own(store):
    log = TaskLog(store, "celery")
    log.write("17", "shop.charge", {})
    log.write("17", "shop.refund", {}, error=ValueError("x"))
    log.write("17", "shop.refund", {})
    assert state(store) == [("shop.charge", "SYNCED", 1), ("shop.refund", "SYNCED", 2)]
    assert query(store, "SELECT key FROM event_key ORDER BY event_id") == [("celery:17",), ("celery:17 shop.refund",)]


def test_a_program_runs_and_it_is_said_that_it_is_not_recorded(keyed, path):
    program = [sys.executable, "-c", "print('ran'); raise SystemExit(3)"]
    done = run(path, "--type", "pdf.render", "--key", "4711", "--", *program, text=True)
    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert "belongs to event 1 of type 'invoice.create'" in done.stderr
    assert state(keyed) == [("invoice.create", "PENDING", 0)]


def test_what_a_store_cannot_take_is_a_reject_and_the_others_are_recorded(store, monkeypatch):
    """Simulates an error of an engine about one event."""

    def picky(db, new, **more):
        if any(event.event_type == "bad" for event in new):
            raise TypeError("no store takes that")
        return events(db, new, **more)

    monkeypatch.setattr("failaware.facts.append.events", picky)
    lines = b'{"type":"a"}\n{"type":"bad","error":{"message":"m"}}\n{"type":"b","error":{"message":"m"}}\n{\n'
    done = ingest_lines(store.session, io.BytesIO(lines), origin="file")
    assert (done.recorded, done.rejected) == (2, 2)
    assert state(store) == [("a", "PENDING", 0), ("b", "DEAD", 1)]
    errors = dict(query(store, "SELECT line_no, error FROM reject_log"))
    assert "TypeError: no store takes that" in errors[2]
    assert_rebuild_changes_nothing(store)
