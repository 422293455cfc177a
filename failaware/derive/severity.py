"""The rules as SQL for the fold, and the reasons of clusters as sentences."""

import re
from typing import Any

from failaware.rules import rules_of
from failaware.text import counted, moment_utc

EVENT_EVIDENCE = "sync_status, dismissed, attempts, failed_attempts"
"""The columns of event_state that are an event's evidence."""

_CLUSTER = {
    **{name: f"c.{name}" for name in ("cluster_id", "event_type", "template", "first_failed_at")},
    **{name: f"c.{name}" for name in ("events", "recovered", "failures", "episodes", "relapses")},
    **{name: f"coalesce(t.{name}, 0)" for name in ("unresolved", "dead", "retrying")},
}
CLUSTER_NUMBERS = tuple(_CLUSTER)
"""The columns of a cluster's evidence, in order."""

# An event is unresolved if it has a severity: FAILED or DEAD, and not dismissed.
CLUSTER_EVIDENCE = f"""
  SELECT {", ".join(f"{sql} AS {name}" for name, sql in _CLUSTER.items())}
    FROM failure_cluster c
    LEFT JOIN (SELECT cluster_id, sum(events) AS unresolved,
                      sum(CASE sync_status WHEN 'DEAD' THEN events ELSE 0 END) AS dead,
                      sum(CASE sync_status WHEN 'FAILED' THEN events ELSE 0 END) AS retrying
                 FROM stored_counts
                WHERE {{of}} AND severity <> ''
                GROUP BY cluster_id) t ON t.cluster_id = c.cluster_id
   WHERE c.{{of}}
"""
"""The evidence rows of clusters; `{of}` is a condition on cluster_id."""

_PLURAL = re.compile(r"\{(\w+):(\w+)\}")


def case(entity_type: str, column: str) -> str:
    """SQL for the name or the severity of the first rule that holds; NULL if none does."""
    arms = "".join(f" WHEN {rule.condition} THEN '{getattr(rule, column)}'" for rule in rules_of(entity_type))
    return f"CASE{arms} END"


def cluster_reason(rule_name: str, evidence: dict[str, Any]) -> str:
    """A cluster's reason: the sentence of its rule, with the evidence."""
    rule = next(rule for rule in rules_of("cluster") if rule.name == rule_name)
    text = _PLURAL.sub(lambda match: counted(evidence[match[1]], match[2]), rule.sentence)
    return text.format_map(_words(evidence))


def _words(evidence: dict[str, Any]) -> dict[str, Any]:
    standing = [f"{evidence[state]} {state}" for state in ("dead", "retrying") if evidence[state]]
    came_back = evidence["relapses"]
    return {
        **evidence,
        "since": f"{moment_utc(evidence['first_failed_at'])[:-4]}Z",
        "standing": ", ".join(standing),
        "came_back": f" and came back {counted(came_back, 'time')} after it had recovered" if came_back else "",
    }
