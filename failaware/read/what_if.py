"""What-if: the store's evidence under another policy: the rules of the fold with other thresholds."""

from failaware.derive.severity import CLUSTER_EVIDENCE, EVENT_EVIDENCE, case
from failaware.engine import Reader
from failaware.model.differences import Move, WhatIf
from failaware.read import severity
from failaware.read.clusters import RANK
from failaware.rules import Policy

_EVIDENCE = {
    "event": f"""
      SELECT s.event_id AS id, s.event_type AS title, s.severity AS old, s.rule AS old_rule, s.*
        FROM (SELECT event_id, event_type, severity, rule, {EVENT_EVIDENCE} FROM stored_state
               WHERE sync_status = 'FAILED' OR sync_status = 'DEAD') AS s""",
    "cluster": f"""
      SELECT n.cluster_id AS id, n.event_type || '  ' || n.template AS title, c.severity AS old, c.rule AS old_rule, n.*
        FROM ({CLUSTER_EVIDENCE.format(of="cluster_id > 0")}) AS n
        JOIN failure_cluster c ON c.cluster_id = n.cluster_id""",
}
"""The evidence of all events and clusters that a rule may match, with their present severity."""


def what_if(db: Reader, policy: Policy, *, limit: int) -> WhatIf:
    """The entities whose severity this policy would change, clusters first."""
    counts: dict[str, dict[str, int]] = {}
    moves: list[Move] = []
    changing = 0
    with db.snapshot():
        for kind in ("cluster", "event"):
            evaluated = (
                f"SELECT id, title, old, old_rule, {case(kind, 'severity')} AS severity, {case(kind, 'name')} AS rule "
                f"FROM ({_EVIDENCE[kind]}) AS evaluated"
            )
            counted = f"SELECT severity, count(*) FROM ({evaluated}) AS evaluated GROUP BY 1"
            counts[kind] = severity.by_level(db, counted, policy.parameters())
            changed = f"FROM ({evaluated}) AS changed WHERE coalesce(severity, '') <> coalesce(old, '')"
            changing += db.query(f"SELECT count(*) {changed}", policy.parameters())[0][0]
            rows = db.query(
                f"SELECT id, title, old, old_rule, severity, rule {changed} ORDER BY {RANK} DESC, id LIMIT :limit",
                {**policy.parameters(), "limit": limit},
            )
            moves += [Move(kind, *row) for row in rows]
        after = severity.with_sums(counts["event"], counts["cluster"])
        return WhatIf(severity.counts(db), after, tuple(moves), changing - len(moves))
