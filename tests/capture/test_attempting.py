"""Attempts made by the caller: the outcome is recorded, and the exception propagates unchanged."""

import asyncio
import json
import sys
import warnings

import pytest

from failaware.errors import PayloadError, StoreBusy
from tests.capture.misbehaving import MISBEHAVING
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


@pytest.mark.parametrize("name", MISBEHAVING)
@pytest.mark.thinned
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
