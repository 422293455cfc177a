"""Diff: what is new, back, worse, better or gone between two moments. Works on the private tables of an AsOfInspector.

Only unresolved events, and clusters with unresolved events, are compared.
"""

from collections import Counter

from failaware.derive.severity import CLUSTER_EVIDENCE
from failaware.engine import ProjectionWriter
from failaware.model.differences import Changed
from failaware.read.clusters import RANK

CHANGES = ("new", "back", "worse", "better", "gone")
"""The kinds of change, most urgent first."""

_FAILED = {
    "event": (
        "SELECT s.event_id AS id, s.severity, s.rule, CASE WHEN s.severity IS NULL THEN 0 ELSE 1 END AS unresolved "
        "FROM stored_state s WHERE s.part_id > 0"
    ),
    "cluster": (
        "SELECT c.cluster_id AS id, c.severity, c.rule, CASE WHEN n.unresolved > 0 THEN 1 ELSE 0 END AS unresolved "
        f"FROM ({CLUSTER_EVIDENCE.format(of='cluster_id > 0')}) n JOIN failure_cluster c ON c.cluster_id = n.cluster_id"
    ),
}
"""Everything that ever failed, with its severity and whether it is unresolved."""

_TITLE = {
    "event": "(SELECT e.event_type FROM stored_state e WHERE e.event_id = after.id)",
    "cluster": "(SELECT c.event_type || '  ' || c.template FROM failure_cluster c WHERE c.cluster_id = after.id)",
}
_HOW = {
    "event": "(SELECT CASE WHEN e.dismissed = 1 THEN 'dismissed' "
    "WHEN EXISTS (SELECT 1 FROM event_cluster m WHERE m.event_id = after.id AND m.recovered = 1) THEN 'recovered' "
    "WHEN e.sync_status = 'PENDING' THEN 'requeued' ELSE lower(e.sync_status) END "
    "FROM stored_state e WHERE e.event_id = after.id)",
    "cluster": "CASE after.unresolved WHEN 1 THEN 'unresolved' ELSE 'nothing unresolved' END",
}


def remember(db: ProjectionWriter) -> None:
    """Store the current severities, for `changes` to compare with."""
    for kind, sql in _FAILED.items():
        db.execute(f"DROP TABLE IF EXISTS {kind}_before")
        db.execute(
            f"CREATE TEMP TABLE {kind}_before (id INTEGER PRIMARY KEY, severity TEXT, rule TEXT, unresolved INTEGER)"
        )
        db.execute(f"INSERT INTO {kind}_before {sql}")


def changes(db: ProjectionWriter, kind: str, *, limit: int) -> tuple[dict[str, int], tuple[Changed, ...]]:
    """What changed since `remember`: how many of each kind of change, and the `limit` worst of each."""
    sql = f"""
      SELECT CASE WHEN before.id IS NULL THEN 'new'
                  WHEN after.unresolved > before.unresolved THEN 'back'
                  WHEN after.unresolved < before.unresolved THEN 'gone'
                  WHEN {_rank("after")} > {_rank("before")} THEN 'worse' ELSE 'better' END AS change,
             after.id, {_TITLE[kind]} AS title, before.severity AS was, after.severity AS severity, after.rule,
             {_HOW[kind]} AS how
        FROM ({_FAILED[kind]}) AS after LEFT JOIN {kind}_before AS before ON before.id = after.id
       WHERE before.id IS NULL OR before.unresolved <> after.unresolved OR before.severity IS NOT after.severity
    """
    counts: Counter[str] = Counter(dict(db.query(f"SELECT change, count(*) FROM ({sql}) AS changed GROUP BY 1")))
    order = " ".join(f"WHEN '{change}' THEN {place}" for place, change in enumerate(CHANGES))
    rows = db.query(
        f"""
        SELECT change, id, title, was, severity, rule, how
          FROM (SELECT *, row_number() OVER (PARTITION BY change ORDER BY {RANK} DESC, id DESC) AS place
                  FROM ({sql}) AS changed) AS placed
         WHERE place <= ? ORDER BY CASE change {order} END, place
        """,
        (limit,),
    )
    listed = tuple(Changed(row[0], kind, *row[1:]) for row in rows)
    return {change: counts[change] for change in CHANGES}, listed


def _rank(side: str) -> str:
    return RANK.replace("CASE severity", f"CASE {side}.severity")
