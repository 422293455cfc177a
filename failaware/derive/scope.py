"""The statements of the fold, and which facts a run of it is about: CTEs that stand in front of them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from failaware.engine.sql import load
from failaware.model import NEVER

STATEMENTS = load(__file__, "fold.sql")
"""By their names; some have places for the rules."""

NONE_FAILS_AGAIN = """NOT EXISTS (
  SELECT 1 FROM failure_after_success r
   WHERE r.cluster_id = entered.cluster_id AND r.recovered_at >= entered.first_failed_at
     AND (r.failed_at < entered.first_failed_at
          OR r.failed_at = entered.first_failed_at AND r.event_id < entered.event_id))
"""
"""SQL: when `entered` failed first with its cluster, no event was failing with it that had been SYNCED before."""


class Scope(NamedTuple):
    """Which facts are new: CTEs, and the values of their parameters. The flags skip what the scope cannot hold."""

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
"""  # what record() appends; naming what is not there takes a tenth of its time
_NOTHING = (1, 0)


def just_appended(
    events: tuple[int, int] = _NOTHING, attempts: tuple[int, int] = _NOTHING, decisions: tuple[int, int] = _NOTHING
) -> Scope:
    """Exactly the facts whose ids lie in these ranges (first and last; one transaction appends ids in a row)."""
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
    """The facts whose ids meet these conditions, such as `IN (SELECT …)`."""
    return Scope(_ctes(f"event_id {events}", f"attempt_id {attempts}", f"decision_id {decisions}"))


def all_sql() -> Iterator[str]:
    """Whatever SQL the fold is made of, but for the rules: what its version depends on."""
    for name, sql in sorted(STATEMENTS.items()):
        yield f"{name} {sql}"
    yield from (NONE_FAILS_AGAIN, _LIVE, _LIVE_EVENTS)
