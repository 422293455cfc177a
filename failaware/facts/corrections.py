"""Append corrections: clusters that a person merges or splits, and what is undone. Runs inside one transaction."""

from collections.abc import Sequence

from failaware.derive.fold import correct, rebuild
from failaware.derive.proposed import Row
from failaware.engine import Writer
from failaware.facts.append import next_id
from failaware.rules import Policy
from failaware.schema.catalogue import CORRECTION


def append(db: Writer, rows: Sequence[Row], *, by: str, reason: str, now: int, policy: Policy) -> list[int]:
    """Append corrections and apply them: merges at once, all others by deriving everything again. Returns their ids."""
    first = next_id(db, "correction_log", "correction_id")
    facts = [(number, *row, by, reason, now) for number, row in enumerate(rows, start=first)]
    db.append("correction_log", CORRECTION.column_names, facts)
    if all(row[0] == "MERGE" for row in rows):
        correct(db, policy)
    else:
        rebuild(db, policy)
    return [fact[0] for fact in facts]
