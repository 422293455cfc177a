"""A replay: the facts of one event, or of all events of a cluster, folded again one at a time.

The cluster of each failure is copied from the store: it does not depend on other facts of the entity.
"""

from typing import NamedTuple

from failaware.derive.as_of import LOGS
from failaware.derive.fold import DERIVED, fold
from failaware.derive.scope import just_appended
from failaware.derive.settings import copy_rules, load_policy
from failaware.engine import PrivateCopy
from failaware.model import NEVER

_ALL = (1, NEVER)
_MEMBERS = {"event": "SELECT ?", "cluster": "SELECT event_id FROM {of}event_cluster WHERE cluster_id = ?"}
"""SQL for the ids of an entity's events; `of` is a schema, as before a table."""
_SEVERITY = {
    "event": "SELECT severity, rule FROM event_state WHERE event_id = ?",
    "cluster": "SELECT severity, rule FROM failure_cluster WHERE cluster_id = ?",
}
_TABLES = (
    "CREATE TEMP TABLE member (event_id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE played (place INTEGER PRIMARY KEY, log INTEGER, id INTEGER, at INTEGER)",
)
_CLUSTERS = """
  INSERT INTO failure_cluster (cluster_id, event_type, error_type, template, failures, events, recovered, episodes,
                               relapses, changed_at)
  SELECT cluster_id, event_type, error_type, template, 0, 0, 0, 0, 0, 0 FROM main.failure_cluster
   WHERE cluster_id IN (SELECT part_id FROM stored_failure)
"""
_PARTS = "INSERT INTO cluster_part SELECT DISTINCT part_id, part_id FROM stored_failure"
_FAILURES = """
  INSERT INTO stored_failure SELECT f.attempt_id, f.cluster_id FROM main.failure f
    JOIN main.attempt_log a ON a.attempt_id = f.attempt_id WHERE a.event_id IN (SELECT event_id FROM member)
"""


class Played(NamedTuple):
    """One fact of a replay: its table, its id, and when it became known (µs)."""

    log: str
    number: int
    at: int


class Replay:
    """The derived state of one event or cluster, fact by fact."""

    def __init__(self, db: PrivateCopy, entity_type: str, entity_id: int, *, until: int) -> None:
        """Copy the entity's facts; call `leap` next.

        Args:
            db: an empty private copy of the store with its own fact tables.
            entity_type: event or cluster.
            entity_id: its id.
            until: facts that became known later (µs) are left out.
        """
        self._db = db
        self._entity = (entity_type, entity_id)
        self._next = 1
        self._fetch()
        for statement in _TABLES:
            db.execute(statement)
        db.execute(f"INSERT INTO member {_MEMBERS[entity_type].format(of='main.')}", (entity_id,))
        self._policy = load_policy(db)
        facts = " UNION ALL ".join(
            f"SELECT {number} AS log, f.{log.key} AS id, {log.known_at} AS at FROM main.{log.table} f "
            f"WHERE f.event_id IN (SELECT event_id FROM member)"
            + (" AND f.decision <> 'ERASE'" if log.table == "decision_log" else "")
            for number, log in enumerate(LOGS)
        )
        db.execute(
            "INSERT INTO played (place, log, id, at) "
            f"SELECT row_number() OVER (ORDER BY at, log, id), log, id, at FROM ({facts}) AS fact WHERE at <= ?",
            (until,),
        )
        self.facts = int(db.query("SELECT count(*) FROM played")[0][0])
        """The number of facts."""

    def _fetch(self) -> None:
        """Fetch the facts and failures of the entity's events."""
        db, (entity_type, entity_id) = self._db, self._entity
        with db.store.snapshot():
            copy_rules(db)
            db.fetch("cluster_part")
            if entity_type == "cluster":
                parts = "part_id IN (SELECT part_id FROM cluster_part WHERE cluster_id = ?)"
                db.fetch("stored_member", parts, (entity_id,))
            events = f"event_id IN ({_MEMBERS[entity_type].format(of='')})"
            for log in LOGS:
                db.fetch(log.table, events, (entity_id,))
            for table, key, of in (
                ("stored_failure", "attempt_id", "attempt_log"),
                ("failure_cluster", "cluster_id", "event_cluster"),
            ):
                db.fetch(table, f"{key} IN (SELECT {key} FROM {of} WHERE {events})", (entity_id,))

    def leap(self, facts: int) -> None:
        """Start over with the first `facts` facts, folded at once."""
        self._db.clear(*DERIVED, *(log.table for log in LOGS))
        self._db.execute(_FAILURES)
        self._db.execute(_PARTS)
        self._db.execute(_CLUSTERS)
        for number, log in enumerate(LOGS):
            self._db.execute(
                f"INSERT INTO {log.table} SELECT * FROM main.{log.table} WHERE {log.key} IN "
                "(SELECT id FROM played WHERE log = ? AND place <= ?)",
                (number, facts),
            )
        fold(self._db, just_appended(_ALL, _ALL, _ALL), self._policy)
        self._next = facts + 1

    def step(self) -> Played | None:
        """Fold the next fact and return it; None after the last."""
        rows = self._db.query("SELECT log, id, at FROM played WHERE place = ?", (self._next,))
        if not rows:
            return None
        self._next += 1
        number, fact_id, at = rows[0]
        log = LOGS[number]
        self._db.execute(f"INSERT INTO {log.table} SELECT * FROM main.{log.table} WHERE {log.key} = ?", (fact_id,))
        kind = log.table.removesuffix("_log") + "s"
        fold(self._db, just_appended(**{kind: (fact_id, fact_id)}), self._policy)
        return Played(log.table, fact_id, at)

    def severity(self) -> tuple[str | None, str | None]:
        """The entity's current severity and rule."""
        entity_type, entity_id = self._entity
        rows = self._db.query(_SEVERITY[entity_type], (entity_id,))
        return rows[0] if rows else (None, None)
