"""What changed in several stores between two moments: the events of each store, and the joined clusters."""

from typing import TYPE_CHECKING

from failaware.federation.questions import Progress
from failaware.model import Severity
from failaware.model.differences import Changed, Diff
from failaware.read import diff as compared

if TYPE_CHECKING:
    from failaware.federation.inspector import FederationAsOf


def diff(inspector: "FederationAsOf", until: int, *, limit: int, progress: Progress) -> Diff:
    """The changes up to `until` (µs), to which the inspector moves."""
    since, union = inspector.at, inspector.join()
    compared.remember(union.db)
    before = inspector.health(), inspector.severity()
    answers = inspector.ask("diff", until, limit=limit, progress=progress)
    inspector.at = until
    inspector.join()
    clusters, listed = compared.changes(union.db, "cluster", limit=limit)
    own: list[Diff] = inspector.mapped(answers)
    events = {change: sum(diff.counts["event"][change] for diff in own) for change in compared.CHANGES}
    return Diff(
        since,
        until,
        before[0],
        inspector.health(),
        before[1],
        inspector.severity(),
        {"cluster": clusters, "event": events},
        listed,
        _worst([changed for diff in own for changed in diff.events], limit),
    )


def _worst(changed: list[Changed], limit: int) -> tuple[Changed, ...]:
    """The worst `limit` of each kind of change; of the same severity, store by store."""
    ranks = {level.value: level.rank for level in Severity}
    worst: list[Changed] = []
    for change in compared.CHANGES:
        own = [one for one in changed if one.change == change]
        worst += sorted(own, key=lambda one: (ranks.get(one.after or "", -1), one.entity_id), reverse=True)[:limit]
    return tuple(worst)
