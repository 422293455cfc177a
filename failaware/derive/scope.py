"""The statements of the fold, and their scope: the CTEs in front of them that select the new facts."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from failaware.engine.sql import load
from failaware.model import NEVER

STATEMENTS = load(__file__, "fold.sql")
"""By name; some have placeholders for the rules."""

NONE_FAILS_AGAIN = """NOT EXISTS (
  SELECT 1 FROM failure_after_success r
   WHERE r.cluster_id = entered.cluster_id AND r.recovered_at >= entered.first_failed_at
     AND (r.failed_at < entered.first_failed_at
          OR r.failed_at = entered.first_failed_at AND r.event_id < entered.event_id))
"""
"""SQL: when `entered` first failed in its cluster, no previously SYNCED event was failing in it."""


class Scope(NamedTuple):
    """The new facts: CTEs and their parameters. A flag is false if the scope contains no facts of that kind."""

    ctes: str
    parameters: Mapping[str, int] = {}
    events: bool = True
    attempts: bool = True
    decisions: bool = True


def _ctes(new_event: str, new_attempt: str, new_decision: str, known_attempt: str = "true") -> str:
    return f"""WITH
new_event AS NOT MATERIALIZED (SELECT * FROM event_log WHERE {new_event}),
new_attempt AS NOT MATERIALIZED (SELECT * FROM attempt_log WHERE {new_attempt}),
new_decision AS NOT MATERIALIZED (SELECT * FROM decision_log WHERE decision <> 'ERASE' AND {new_decision}),
known_attempt AS NOT MATERIALIZED (SELECT * FROM attempt_log WHERE {known_attempt}),
known_decision AS NOT MATERIALIZED (SELECT * FROM decision_log WHERE decision <> 'ERASE')
"""


_LIVE = _ctes(
    "event_id BETWEEN :first_event AND :last_event",
    "attempt_id BETWEEN :first_attempt AND :last_attempt",
    "decision_id BETWEEN :first_decision AND :last_decision",
    "attempt_id <= :newest_known",
)
_LIVE_EVENTS = """WITH
new_event AS NOT MATERIALIZED (SELECT * FROM event_log WHERE event_id BETWEEN :first_event AND :last_event)
"""  # what record() appends; the unused CTEs would take a tenth of its time
_NOTHING = (1, 0)


def just_appended(
    events: tuple[int, int] = _NOTHING, attempts: tuple[int, int] = _NOTHING, decisions: tuple[int, int] = _NOTHING
) -> Scope:
    """The facts with ids in these ranges (first, last); a transaction appends consecutive ids."""
    parameters = {"first_event": events[0], "last_event": events[1]}
    if attempts == decisions == _NOTHING:
        return Scope(_LIVE_EVENTS, parameters, attempts=False, decisions=False)
    parameters |= {
        "first_attempt": attempts[0],
        "last_attempt": attempts[1],
        "first_decision": decisions[0],
        "last_decision": decisions[1],
        "newest_known": NEVER,
    }
    return Scope(_LIVE, parameters, events != _NOTHING, attempts != _NOTHING, decisions != _NOTHING)


def of_ids(events: str, attempts: str, decisions: str) -> Scope:
    """The facts whose ids satisfy these conditions, such as `IN (SELECT …)`."""
    return Scope(_ctes(f"event_id {events}", f"attempt_id {attempts}", f"decision_id {decisions}"))


def all_sql() -> Iterator[str]:
    """All SQL of the fold except the rules, on which its version depends."""
    for name, sql in sorted(STATEMENTS.items()):
        yield f"{name} {sql}"
    yield from (NONE_FAILS_AGAIN, _LIVE, _LIVE_EVENTS)
