"""Runs the fold over a scope of facts: those just appended, or all of them.

A scope is a handful of CTEs put in front of each statement of `fold.sql`; there is no second implementation of any
rule. Needs a Writer inside a transaction, or private tables beside a store.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial

from failaware.derive.grouping import Group, Subject, group
from failaware.derive.rules import Policy
from failaware.derive.settings import forget_fingerprint_version, load_grouping, note_fingerprint_version
from failaware.derive.severity import CLUSTER_EVIDENCE, case, cluster_reason
from failaware.engine import Deriver, Row
from failaware.engine.guards import ERASED
from failaware.engine.sql import load

_SQL = load(__file__, "fold.sql")
_SQL["settle"] = _SQL["settle"].format(event_severity=case("event", "severity"), event_rule=case("event", "name"))

_PAGE = 5_000  # failures fingerprinted, and clusters judged, at a time

DERIVED = ("event_state", "failure", "event_cluster", "failure_cluster", "cluster_hour", "tally")
"""The derived tables: whatever is in them comes from the fold."""

_EVIDENCE = (
    "cluster_id",
    "event_type",
    "template",
    "first_failed_at",
    "events",
    "recovered",
    "failures",
    "episodes",
    "comebacks",
    "unresolved",
    "dead",
    "retrying",
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which facts are new: CTEs, and the values of their parameters. The flags skip what the scope cannot hold.

    `grouped`: its failures have their clusters already.
    """

    ctes: str
    parameters: dict[str, int] = field(default_factory=dict)
    events: bool = True
    attempts: bool = True
    decisions: bool = True
    grouped: bool = False


def _ctes(new_event: str, new_attempt: str, new_decision: str) -> str:
    return f"""WITH
new_event AS NOT MATERIALIZED (SELECT * FROM event_log WHERE {new_event}),
new_attempt AS NOT MATERIALIZED (SELECT * FROM attempt_log WHERE {new_attempt}),
new_decision AS NOT MATERIALIZED (SELECT * FROM decision_log WHERE decision <> 'ERASE' AND {new_decision}),
known_attempt AS NOT MATERIALIZED (SELECT * FROM attempt_log),
known_decision AS NOT MATERIALIZED (SELECT * FROM decision_log WHERE decision <> 'ERASE')
"""


ALL = Scope(_ctes("true", "true", "true"))
"""Every fact there is: a rebuild."""


def of_ids(events: str, attempts: str, decisions: str) -> Scope:
    """The facts whose ids meet these conditions, such as `IN (SELECT …)`."""
    return Scope(_ctes(f"event_id {events}", f"attempt_id {attempts}", f"decision_id {decisions}"))


_LIVE = _ctes(
    "event_id BETWEEN :first_event AND :last_event",
    "attempt_id BETWEEN :first_attempt AND :last_attempt",
    "decision_id BETWEEN :first_decision AND :last_decision",
)
_NOTHING = (1, 0)


def just_appended(
    events: tuple[int, int] = _NOTHING, attempts: tuple[int, int] = _NOTHING, decisions: tuple[int, int] = _NOTHING
) -> Scope:
    """Exactly the facts whose ids lie in these ranges (first and last; one transaction appends ids in a row)."""
    parameters = {
        "first_event": events[0],
        "last_event": events[1],
        "first_attempt": attempts[0],
        "last_attempt": attempts[1],
        "first_decision": decisions[0],
        "last_decision": decisions[1],
    }
    return Scope(_LIVE, parameters, events != _NOTHING, attempts != _NOTHING, decisions != _NOTHING)


def one(log: str, number: int) -> Scope:
    """One fact, of one of the three logs."""
    kind = log.removesuffix("_log") + "s"
    return just_appended(**{kind: (number, number)})


def fold(db: Deriver, scope: Scope, policy: Policy) -> None:
    """Bring the derived tables from what they say without the scope's facts to what they say with them."""
    if scope.events:
        _run(db, scope, "new_states")
        _run(db, scope, "tally_new")
    if scope.attempts or scope.decisions:
        _fold_tries(db, scope, policy)


def rebuild(db: Deriver, policy: Policy) -> None:
    """Forget everything derived and derive it again from the facts."""
    for table in DERIVED:
        db.execute(f"DELETE FROM {table}")
    forget_fingerprint_version(db)
    fold(db, ALL, policy)


def _fold_tries(db: Deriver, scope: Scope, policy: Policy) -> None:
    _empty_work_tables(db)
    _run(db, scope, "touch")
    _run(db, scope, "tally", sign=-1)
    if scope.attempts:
        _fold_failures(db, scope)
    _run(db, scope, "settle", **policy.parameters())
    _run(db, scope, "tally", sign=1)
    db.execute(_SQL["drop_empty_tallies"])
    _judge_clusters(db, [cluster_id for (cluster_id,) in db.query(_SQL["touched_clusters"])], policy)


def _empty_work_tables(db: Deriver) -> None:
    """Temporary tables of this connection: which events are touched, and what their clusters will say of them."""
    db.execute("CREATE TEMP TABLE IF NOT EXISTS touched (event_id INTEGER PRIMARY KEY)")
    db.execute(
        "CREATE TEMP TABLE IF NOT EXISTS entry (event_id INTEGER, cluster_id INTEGER, failures INTEGER, "
        "first_failed_at INTEGER, last_failed_at INTEGER, open_until INTEGER, moved_from INTEGER)"
    )
    db.execute("DELETE FROM touched")
    db.execute("DELETE FROM entry")


def _fold_failures(db: Deriver, scope: Scope) -> None:
    if _fingerprint(db, scope) or scope.grouped:
        _run(db, scope, "count_failures")
        _run(db, scope, "count_hours")
    if not _run(db, scope, "entries"):
        return
    moved = bool(db.query("SELECT 1 FROM entry WHERE moved_from IS NOT NULL LIMIT 1"))
    if moved:
        _count_entries(db, scope, sign=-1)
    _run(db, scope, "enter")
    if moved:
        _count_entries(db, scope, sign=1)


def rename_clusters(db: Deriver, cluster_ids: list[int], policy: Policy) -> None:
    """Name clusters anew, after failures of theirs were erased: by the first of those that were not."""
    find = _grouper(db)
    for cluster_id in cluster_ids:
        found = find(db.query(_SQL["named_by"], {"cluster": cluster_id})[0])
        db.execute(_SQL["rename_cluster"], (found.error_type, found.template, cluster_id))
    _judge_clusters(db, cluster_ids, policy)


def _fingerprint(db: Deriver, scope: Scope) -> bool:
    """Give every new failure its cluster; true if there were any without one."""
    after, find = 0, _grouper(db)
    while rows := db.query(scope.ctes + _SQL["unfingerprinted"], {**scope.parameters, "after": after, "page": _PAGE}):
        failures: list[tuple[int, int]] = []
        clusters: dict[int, tuple[int, str, str | None, str]] = {}
        for row in rows:
            found = find(row)
            failures.append((row[0], found.cluster_id))
            named = clusters.get(found.cluster_id)
            # The first to enter names it, as it does when failures come one by one; what is erased has no name to give.
            if named is None or named[3] == ERASED:
                clusters[found.cluster_id] = (found.cluster_id, row[2], found.error_type, found.template)
        db.execute_many(_SQL["new_failure"], failures)
        db.execute_many(_SQL["new_cluster"], [clusters[cluster_id] for cluster_id in sorted(clusters)])
        after = rows[-1][0]
    if after:
        note_fingerprint_version(db)
    return after > 0


def _grouper(db: Deriver) -> Callable[[Row], Group]:
    """Finds the cluster of a row of `unfingerprinted` or `named_by`."""
    rules = load_grouping(db)

    @lru_cache(maxsize=256)
    def text_of(traceback: int | None) -> str | None:
        rows = db.query("SELECT text FROM traceback_log WHERE traceback_id = ?", (traceback,))
        return rows[0][0] if rows else None

    def find(row: Row) -> Group:
        _, traceback, event_type, error_type, message, cause, given, erased = row
        if erased is not None:
            return Group(erased, error_type, ERASED, "what it was before it was erased", ERASED)
        return group(Subject(event_type, error_type, message, cause, given, partial(text_of, traceback)), rules)

    return find


def _count_entries(db: Deriver, scope: Scope, *, sign: int) -> None:
    """Take the entries that change out of every count of their clusters (-1), or put them back (1)."""
    _run(db, scope, "count_entries", sign=sign)
    _run(db, scope, "count_comebacks", sign=sign)
    _run(db, scope, "count_episodes", sign=-1)
    _run(db, scope, "count_entry_hours", sign=sign)
    _run(db, scope, "count_episodes", sign=1)


def _judge_clusters(db: Deriver, cluster_ids: list[int], policy: Policy) -> None:
    """Write each cluster's severity with the sentence that says why."""
    rule, severity = case("cluster", "name"), case("cluster", "severity")
    for start in range(0, len(cluster_ids), _PAGE):
        page = cluster_ids[start : start + _PAGE]
        evidence = CLUSTER_EVIDENCE.format(of=f"cluster_id IN ({','.join(map(str, page))})")
        rows = db.query(f"SELECT {severity}, {rule}, * FROM ({evidence}) AS evidence", policy.parameters())
        verdicts = []
        for row in rows:
            numbers = dict(zip(_EVIDENCE, row[2:], strict=True))
            reason = cluster_reason(row[1], numbers) if row[1] else None
            verdicts.append((row[0], row[1], reason, numbers["cluster_id"]))
        db.execute_many(_SQL["judge_cluster"], verdicts)


def _run(db: Deriver, scope: Scope, name: str, **parameters: int) -> int:
    return db.execute(scope.ctes + _SQL[name], {**scope.parameters, **parameters})
