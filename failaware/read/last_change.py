"""Since when: the fact that changed a severity last, found by playing the facts again."""

from failaware.derive.replay import Played, Replay
from failaware.engine import Reader
from failaware.model import SeverityChange
from failaware.read.connections import ConnectionRegistry
from failaware.text import moment_utc

_WINDOWS = (64, 1_024, 8_192)  # facts played one by one, from the end; those before them are played at once


def since(connections: ConnectionRegistry, entity_type: str, entity_id: int, *, until: int) -> SeverityChange | None:
    """The last change of an entity's severity up to a moment (µs); None when it never had one.

    Of an entity with very many facts since that change, it only says how far back there was none.
    """
    db = connections.private_copy(facts=True)
    try:
        replay = Replay(db, entity_type, entity_id, until=until)
        for window in _WINDOWS:
            change = _last_change(db, replay, window)
            if change is not None or replay.facts <= window:
                return change
        return _unchanged(replay)
    finally:
        connections.close(db)


def _last_change(db: Reader, replay: Replay, window: int) -> SeverityChange | None:
    change = None
    replay.leap(max(replay.facts - window, 0))
    before, _ = replay.severity()
    while (fact := replay.step()) is not None:
        after, rule = replay.severity()
        if after != before:
            change = _change(db, fact, before, after, rule)
        before = after
    return change


def _change(db: Reader, fact: Played, before: str | None, after: str | None, rule: str | None) -> SeverityChange:
    event_id, what = fact.number, f"event {fact.number}"
    if fact.log == "attempt_log":
        (event_id, number), *_ = db.query(
            "SELECT event_id, attempt_no FROM attempt_log WHERE attempt_id = ?", (fact.number,)
        )
        what = f"attempt {number} of event {event_id}"
    elif fact.log == "decision_log":
        (event_id, decision, by), *_ = db.query(
            "SELECT event_id, decision, decided_by FROM decision_log WHERE decision_id = ?", (fact.number,)
        )
        what = f"the {decision} of event {event_id} by {by}"
    sentence = f"{before or 'none'} → {after or 'none'} at {moment_utc(fact.at)} by {what}"
    return SeverityChange(fact.at, before, after, rule, event_id, sentence)


def _unchanged(replay: Replay) -> SeverityChange:
    replay.leap(replay.facts - _WINDOWS[-1])
    severity, rule = replay.severity()
    first = replay.step()
    assert first is not None
    sentence = f"{severity or 'none'} throughout its last {_WINDOWS[-1]:,} facts, since {moment_utc(first.at)} at least"
    return SeverityChange(first.at, severity, severity, rule, None, sentence)
