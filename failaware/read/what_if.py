"""What if: the store's evidence under another policy. The rules are the fold's; only their thresholds are others."""

from failaware.derive.rules import Policy
from failaware.derive.severity import CLUSTER_EVIDENCE, EVENT_EVIDENCE, case
from failaware.engine import Reader
from failaware.model.differences import Move, WhatIf
from failaware.read import severity
from failaware.read.clusters import RANK

_JUDGED = {
    "event": f"""
      SELECT s.event_id AS id, s.event_type AS title, s.severity AS old, s.rule AS old_rule, s.*
        FROM (SELECT event_id, event_type, severity, rule, {EVENT_EVIDENCE} FROM event_state
               WHERE sync_status = 'FAILED' OR sync_status = 'DEAD') AS s""",
    "cluster": f"""
      SELECT n.cluster_id AS id, n.event_type || '  ' || n.template AS title, c.severity AS old, c.rule AS old_rule, n.*
        FROM ({CLUSTER_EVIDENCE.format(of="cluster_id > 0")}) AS n
        JOIN failure_cluster c ON c.cluster_id = n.cluster_id""",
}
"""The evidence of all events and clusters that a rule might hold of, with the severity that they have."""


def what_if(db: Reader, policy: Policy, *, limit: int) -> WhatIf:
    """What would stand elsewhere under this policy, clusters first."""
    counts: dict[str, dict[str, int]] = {}
    moves: list[Move] = []
    moving = 0
    with db.snapshot():
        for kind in ("cluster", "event"):
            judged = (
                f"SELECT id, title, old, old_rule, {case(kind, 'severity')} AS severity, {case(kind, 'name')} AS rule "
                f"FROM ({_JUDGED[kind]}) AS judged"
            )
            counted = f"SELECT severity, count(*) FROM ({judged}) AS judged GROUP BY 1"
            counts[kind] = severity.by_level(db, counted, policy.parameters())
            changed = f"FROM ({judged}) AS moved WHERE coalesce(severity, '') <> coalesce(old, '')"
            moving += db.query(f"SELECT count(*) {changed}", policy.parameters())[0][0]
            rows = db.query(
                f"SELECT id, title, old, old_rule, severity, rule {changed} ORDER BY {RANK} DESC, id LIMIT :limit",
                {**policy.parameters(), "limit": limit},
            )
            moves += [Move(kind, *row) for row in rows]
        after = severity.together(counts["event"], counts["cluster"])
        return WhatIf(severity.counts(db), after, tuple(moves), moving - len(moves))
