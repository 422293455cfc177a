"""The newest failures of a cluster: the last failed attempt, and what the placeholders of the template stand for."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from failaware.engine import Reader
from failaware.errors import NotFound
from failaware.model.patterns import MaskedEvent, MaskedValues, NewestFailures
from failaware.read.clusters import current_id, parts_of
from failaware.read.events import attempt
from failaware.read.explain import grouped

_OF_EVENTS = """
  SELECT a.event_id, max(a.attempt_id) FROM attempt_log a JOIN failure f ON f.attempt_id = a.attempt_id
   WHERE a.event_id IN ({events}) AND f.cluster_id = ? GROUP BY a.event_id
"""
_NEWEST = "SELECT attempt_id FROM stored_failure WHERE part_id IN ({parts}) ORDER BY attempt_id DESC LIMIT :limit"


def newest(db: Reader, cluster_id: int, *, limit: int) -> NewestFailures:
    """The newest failed attempt and the masked values of the newest failures, or NotFound."""
    with db.snapshot():
        cluster_id = current_id(db, cluster_id)
        newest_ids = _NEWEST.format(parts=", ".join(map(str, parts_of(db, cluster_id))) or "0")
        ids = [attempt_id for (attempt_id,) in db.query(newest_ids, {"limit": max(limit, 1)})]
        if not ids:
            raise NotFound(f"there is no cluster {cluster_id}; 'failaware clusters' lists them")
        groups = grouped(db, f"IN ({newest_ids})", {"limit": max(limit, 1)})
        last = attempt(db, ids[0])
    counts: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for group in groups.values():
        for place, part in enumerate(group.masked):
            counts[place, part.placeholder][part.text] += 1
    masked = tuple(
        MaskedValues(placeholder, tuple(sorted(values.items(), key=lambda of: (-of[1], of[0]))))
        for (_, placeholder), values in sorted(counts.items())
    )
    return NewestFailures(last, len(ids), masked)


def masked(db: Reader, cluster_id: int, event_ids: Sequence[int]) -> list[MaskedEvent]:
    """The masked parts of the newest failure of each event in a cluster, if there is one."""
    events = ", ".join(str(int(event_id)) for event_id in event_ids)
    if not events:
        return []
    with db.snapshot():
        attempts: dict[int, int] = dict(db.query(_OF_EVENTS.format(events=events), (current_id(db, cluster_id),)))
        groups = grouped(db, f"IN ({', '.join(map(str, attempts.values())) or 'NULL'})", {})
    return [
        MaskedEvent(event_id, groups[attempt_id].masked)
        for event_id, attempt_id in sorted(attempts.items())
        if attempt_id in groups
    ]
