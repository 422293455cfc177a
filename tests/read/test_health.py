"""Health: what is due, counted from whichever end is shorter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Handlers, Retry, Worker
from failaware.read import health
from tests.conftest import query
from tests.life import histories, lived


def due_now(store, now):
    return query(store, "SELECT count(*) FROM event_state WHERE due_at <= ?", (now,))[0][0]


@pytest.mark.parametrize("few", [1, 2, 1_000])
@given(history=histories, ahead=st.sampled_from([0, 90, 3_700]))
@settings(max_examples=40, deadline=None)
def test_what_is_due_is_what_could_be_tried_at_once(few, history, ahead):
    with lived(history) as (life, inspector), pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "_FEW", few)
        life.clock.advance(ahead)
        assert inspector.health().due_now == due_now(life.store, life.clock.now)


def test_a_backlog_is_not_counted_event_by_event(store, inspector, clock, monkeypatch):
    handlers = Handlers()

    @handlers.on("a", retry=Retry(base=3_600, jitter=0))
    def fails(event):
        raise ValueError("no")

    store.record_many(("a", n) for n in range(3))
    Worker(store, handlers).run(until_idle=True, patience=0)
    store.record_many(("a", n) for n in range(2_000))
    store.record_many(("b", n) for n in range(5))
    counted, counted_from_the_end, ask = {}, [], inspector.db.query

    def spy(sql, parameters=()):
        rows = ask(sql, parameters)
        if sql == health._DUE:
            counted.update({event_type: due for event_type, _, due, _ in rows})
        if sql == health._LATER:
            counted_from_the_end.append((parameters[0], rows[0][0]))
        return rows

    monkeypatch.setattr(inspector.db, "query", spy)
    assert inspector.health().due_now == 2_005
    assert counted == {"a": 1_000, "b": 5}
    assert counted_from_the_end == [("a", 3)]
