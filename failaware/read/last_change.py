"""The fact that last changed a severity, found by replaying the facts."""

from failaware.derive.replay import Played, Replay
from failaware.engine import Reader
from failaware.model import SeverityChange
from failaware.read.connections import ConnectionRegistry
from failaware.text import moment_utc

_WINDOWS = (64, 1_024, 8_192)  # the last facts, replayed one by one; all facts before them are folded in one run


def last_change(
    connections: ConnectionRegistry, entity_type: str, entity_id: int, *, until: int
) -> SeverityChange | None:
    """The last change of an entity's severity up to a moment (µs); None if it never had one.

    If very many facts follow that change, it only says since when the severity has not changed.
    """
    db = connections.private_copy(facts=True)
    try:
        replay = Replay(db, entity_type, entity_id, until=until)
        for window in _WINDOWS:
            change = _last_change_within(db, replay, window)
            if change is not None or replay.facts <= window:
                return change
        return _unchanged(replay)
    finally:
        connections.close(db)


def _last_change_within(db: Reader, replay: Replay, window: int) -> SeverityChange | None:
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
    event_id, subject = fact.number, f"event {fact.number}"
    if fact.log == "attempt_log":
        (event_id, number), *_ = db.query(
            "SELECT event_id, attempt_no FROM attempt_log WHERE attempt_id = ?", (fact.number,)
        )
        subject = f"attempt {number} of event {event_id}"
    elif fact.log == "decision_log":
        (event_id, decision, by), *_ = db.query(
            "SELECT event_id, decision, decided_by FROM decision_log WHERE decision_id = ?", (fact.number,)
        )
        subject = f"the {decision} of event {event_id} by {by}"
    sentence = f"{before or 'none'} → {after or 'none'} at {moment_utc(fact.at)} by {subject}"
    return SeverityChange(fact.at, before, after, rule, event_id, sentence)


def _unchanged(replay: Replay) -> SeverityChange:
    replay.leap(replay.facts - _WINDOWS[-1])
    severity, rule = replay.severity()
    first = replay.step()
    assert first is not None
    sentence = f"{severity or 'none'} throughout its last {_WINDOWS[-1]:,} facts, since {moment_utc(first.at)} at least"
    return SeverityChange(first.at, severity, severity, rule, None, sentence)
