"""Explain: each rule evaluated for one entity, with the numbers it used. The conditions are those of the fold."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from failaware.derive.settings import load_grouping, load_policy
from failaware.derive.severity import CLUSTER_EVIDENCE, EVENT_EVIDENCE
from failaware.derive.stored_version import derivation
from failaware.engine import Reader
from failaware.errors import FilterError, NotFound
from failaware.model import NEVER, Explanation, GroupedBy, RuleCheck
from failaware.read.clusters import current_id
from failaware.rules import rules_of

if TYPE_CHECKING:
    from failaware.derive.grouping.groups import GroupingRules

_ENTITY = re.compile(r"(event|cluster)/(\d{1,19})")
_EXAMPLE = {
    "event": "= (SELECT last_failure FROM stored_state WHERE event_id = :id)",
    "cluster": "= (SELECT example_attempt FROM failure_cluster WHERE cluster_id = :id)",
}
_SUBJECT = """
  SELECT e.event_type, a.error_type, a.error_message, a.cause, coalesce(a.fingerprint, e.fingerprint), t.text,
         f.cluster_id, EXISTS (SELECT 1 FROM erasure_log x
                                WHERE x.of_table IN ('attempt_log', 'failure') AND x.row_id = a.attempt_id),
         a.attempt_id
    FROM attempt_log a
    JOIN event_log e ON e.event_id = a.event_id
    JOIN failure f ON f.attempt_id = a.attempt_id
    LEFT JOIN traceback_log t ON t.traceback_id = a.traceback
   WHERE a.attempt_id """
_LEARNED = """
  SELECT DISTINCT w.word FROM known_slot s JOIN known_slot w ON w.slot_id = s.slot_id
    JOIN known_fingerprint k ON k.fingerprint_id = w.fingerprint_id
   WHERE s.fingerprint_id = ? AND s.word = '<*>' AND w.word <> '<*>' AND k.cluster_id = s.fingerprint_id ORDER BY w.word
"""
_NAME_LEARNED = """
  SELECT c.template FROM learned_fingerprint k JOIN learned_fingerprint c ON c.fingerprint_id = k.cluster_id
   WHERE k.fingerprint_id = ?
"""
_NAME = re.compile(r":?\b[a-z_]+\b")
_EVIDENCE = {
    "event": f"SELECT {EVENT_EVIDENCE} FROM event_state WHERE event_id = :id",
    "cluster": CLUSTER_EVIDENCE.format(of="cluster_id = :id"),
}


def explain(db: Reader, entity: str) -> Explanation:
    """Why `event/ID` or `cluster/ID` has the severity it has."""
    match = _ENTITY.fullmatch(entity)
    if not match or int(match[2]) > NEVER:
        raise FilterError(f"'{entity[:60]}' is neither event/ID nor cluster/ID, such as event/42")
    entity_type, entity_id = match[1], int(match[2])
    with db.snapshot():
        policy = load_policy(db).parameters()
        entity_id = current_id(db, entity_id) if entity_type == "cluster" else entity_id
        checks = tuple(_check(db, entity_type, entity_id, policy))
        verdict = db.query(
            "SELECT severity, rule, reason FROM failure_severity WHERE entity_type = ? AND entity_id = ?",
            (entity_type, entity_id),
        )
        groups = grouped(db, _EXAMPLE[entity_type], {"id": entity_id})
        derived = derivation(db)
    severity, rule, reason = verdict[0] if verdict else (None, None, None)
    return Explanation(
        entity_type, entity_id, severity, rule, reason, checks, *derived, next(iter(groups.values()), None)
    )


def grouped(db: Reader, of: str, parameters: dict[str, Any]) -> dict[int, GroupedBy]:
    """How failed attempts were grouped, by attempt_id; `of` is a condition on it, such as `= :id`."""
    rules = load_grouping(db)
    return {attempt_id: _grouped(db, row, rules) for *row, attempt_id in db.query(_SUBJECT + of, parameters)}


def _grouped(db: Reader, row: Sequence[Any], rules: "GroupingRules") -> GroupedBy:
    from failaware.derive.grouping.groups import Subject, erased_group, group, masked_parts, overflow

    event_type, error_type, message, cause, given, traceback, cluster_id, erased = row
    beyond = overflow(event_type, rules)
    if cluster_id == beyond.cluster_id:
        return GroupedBy(beyond.by, message or "", beyond.template, ())
    if erased:
        erased_by = erased_group(cluster_id, event_type, error_type, rules)
        return GroupedBy(erased_by.by, erased_by.text, erased_by.template, ())
    of_failure = group(Subject(event_type, error_type, message, cause, given, lambda: traceback), rules)
    names = db.query(_NAME_LEARNED, (of_failure.cluster_id,))
    name = (names and names[0][0]) or of_failure.template
    learned = tuple(word for (word,) in db.query(_LEARNED, (cluster_id,)))
    masked = masked_parts(of_failure.text, name)
    return GroupedBy(of_failure.by, of_failure.text, name, masked, learned, split_of=of_failure.split_of)


def _check(db: Reader, entity_type: str, entity_id: int, policy: dict[str, int]) -> list[RuleCheck]:
    checks = []
    for rule in rules_of(entity_type):
        names = list(dict.fromkeys(_NAME.findall(rule.condition)))
        columns = [name for name in names if not name.startswith(":")]
        rows = db.query(
            f"SELECT {rule.condition}, {', '.join(columns)} FROM ({_EVIDENCE[entity_type]}) AS evidence",
            {**policy, "id": entity_id},
        )
        if not rows:
            raise NotFound(f"there is no {entity_type} {entity_id}; 'failaware {entity_type}s' lists them")
        numbers: dict[str, Any] = dict(zip(columns, rows[0][1:], strict=True))
        numbers |= {name[1:]: policy[name[1:]] for name in names if name.startswith(":")}
        checks.append(RuleCheck(rule.name, rule.severity.value, rule.condition, numbers, bool(rows[0][0])))
    return checks
