"""What changed since one last looked, by identity. Pure."""

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from failaware.model import Cluster, Severity

NEW, WORSE, BETTER, GREW, RESOLVED = "+", "!", "▽", "↑", "✓"
MEANING = {
    NEW: "new",
    WORSE: "severity rose",
    BETTER: "severity fell",
    GREW: "failed again",
    RESOLVED: "resolved",
}


class ClusterSnapshot(NamedTuple):
    """What one saw of a cluster."""

    failures: int
    unresolved: int
    rank: int


def snapshot(cluster: Cluster) -> ClusterSnapshot:
    """What there is to see of a cluster."""
    rank = -1 if cluster.severity is None else Severity(cluster.severity).rank
    return ClusterSnapshot(cluster.failures, cluster.unresolved, rank)


def mark(before: ClusterSnapshot | None, cluster: Cluster) -> str:
    """How a cluster differs from what one saw of it; "" where it does not."""
    now = snapshot(cluster)
    if before is None:
        return NEW
    if now.rank > before.rank:
        return WORSE
    if before.unresolved and not now.unresolved:
        return RESOLVED
    if now.rank < before.rank:
        return BETTER
    return GREW if now.failures > before.failures else ""


class ChangeTracker:
    """What one saw, until one looks again. The first sight of everything marks nothing."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, ClusterSnapshot] | None = None

    def marks(self, clusters: Iterable[Cluster]) -> dict[int, str]:
        """The marks of these clusters."""
        if self._seen is None:
            self._seen = {cluster.cluster_id: snapshot(cluster) for cluster in clusters}
            return {}
        return {c.cluster_id: change for c in clusters if (change := mark(self._seen.get(c.cluster_id), c))}

    def mark_seen(self, clusters: Iterable[Cluster]) -> None:
        """These have been looked at."""
        if self._seen is not None:
            self._seen.update((cluster.cluster_id, snapshot(cluster)) for cluster in clusters)
