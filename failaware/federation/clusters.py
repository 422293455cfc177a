"""Clusters of several stores: those of one event type and template are one, with the sums of their numbers."""

from operator import attrgetter
from typing import TYPE_CHECKING

from failaware.derive.settings import load_policy
from failaware.federation.asked import Asked
from failaware.federation.filters import filters_for
from failaware.federation.part import Part
from failaware.federation.parts import call
from failaware.federation.union import Union
from failaware.model import Behind, Cluster, Explanation, SeverityCounts
from failaware.model.stores import Aggregates, ClusterOfStores
from failaware.read import clusters, explain, severity

if TYPE_CHECKING:
    from failaware.model.differences import WhatIf
    from failaware.rules import Policy

_FACTS = 10  # behind a number
_PER_STORE = {"episodes", "relapses"}


class JoinedClusters(Asked):
    """The questions about clusters and severities."""

    def severity(self) -> SeverityCounts:
        """The number of unresolved events of all stores, and of joined clusters, at each severity."""
        return severity.counts(self.join().db)

    def clusters(self, where: str = "", *, limit: int = 50) -> list[Cluster]:
        """The joined clusters that match, worst first; `store:` chooses the stores that are joined."""
        union, rest = self.chosen(where)
        return [self.with_stores(one, union) for one in clusters.worst(union.db, rest, now=self.now(), limit=limit)]

    def cluster(self, cluster_id: int | str) -> Cluster:
        """One joined cluster, by its id or the first digits of its id; `4195@shop` by those of its id in one store."""
        union = self.join()
        if isinstance(cluster_id, str):
            is_own = "@" in cluster_id and cluster_id.partition("@")[0].isdecimal()
            cluster_id = self.cluster_id(cluster_id) if is_own else clusters.resolve(union.db, cluster_id)
        return self.with_stores(clusters.one(union.db, cluster_id), union)

    def chosen(self, where: str) -> tuple[Union, str]:
        """The clusters of the stores that a filter of clusters chooses, and the filter without `store:`.

        Raises:
            FilterError: there is no such store, or it chooses none.
        """
        union = self.join()
        texts = filters_for(where, self.parts.all, lambda _part, value: [self.cluster_id(value)])
        if len(texts) < len(self.parts.all):
            aggregates, union = union.aggregates, Union()
            rows = {part: own if part in texts else _without_rows(own) for part, own in aggregates.items()}
            union.update(rows, self.overlaps)
        if "failed:" in where.lower():
            self.read_hours(union, list(texts), since=0)
        return union, next(iter(texts.values()), "")

    def read_hours(self, union: Union, parts: list[Part], *, since: int) -> None:
        """Read the failures by hour since a moment (µs) into the joined tables."""
        union.set_hours(self.ask("timeline", of=parts, since=since))

    def with_stores(self, cluster: Cluster, union: Union) -> Cluster:
        """The cluster with its parts in the stores."""
        own = ClusterOfStores(*cluster._replace(example_attempt=self.named(cluster.example_attempt)))
        own.stores = union.stores.get(cluster.cluster_id, ())
        return own

    def explain_cluster(self, entity: str, *, facts: bool) -> Explanation:
        """The rules over the sums; the facts of each store."""
        union = self.join()
        explained = explain.explain(union.db, entity)  # refuses what is neither event/ID nor cluster/ID
        cluster_id = explained.entity_id
        answers = self.ask_members(cluster_id, lambda own: call("explain", f"cluster/{own}", facts=facts))
        own: list[Explanation] = [answer for _, answer in answers]
        derived = self.connections.derivation()
        explained = explained._replace(grouped=own[0].grouped, derivation=derived[0], derived_by=derived[1])
        if len(own) == 1:
            return explained._replace(behind=own[0].behind, since=own[0].since)
        since = max((one.since for one in own if one.since is not None), key=lambda change: change.at, default=None)
        behind = [] if not facts else _behind([(part.name, one) for part, one in answers])
        return explained._replace(behind=tuple(behind), since=since)

    def policy(self) -> "Policy":
        """The thresholds by which the joined clusters are judged: those of the first store."""
        return load_policy(self.join().db)

    def what_if(self, policy: "Policy", *, limit: int = 1_000) -> "WhatIf":
        """Another policy over the events of each store and the joined clusters."""
        from failaware.federation.sums import severities
        from failaware.read import what_if

        joined = what_if.what_if(self.join().db, policy, limit=limit)
        answers = self.ask("what_if_toml", policy.to_toml(), limit)
        own: list[WhatIf] = self.mapped(answers)
        moves = [move for one in own for move in one.moves if move.entity_type == "event"]
        listed = (*(move for move in joined.moves if move.entity_type == "cluster"), *moves[:limit])
        more = joined.more + sum(one.more for one in own) + max(len(moves) - limit, 0)
        return joined._replace(
            before=severities((one.before.events for one in own), joined.before.clusters),
            after=severities((one.after.events for one in own), joined.after.clusters),
            moves=listed,
            more=more,
        )


def _without_rows(own: Aggregates) -> Aggregates:
    """What a store that was not chosen contributes: its templates and corrections, which decide what is one cluster."""
    return own._replace(clusters=(), counts=())


def _behind(own: list[tuple[str, Explanation]]) -> list[Behind]:
    """The facts of all stores; episodes and relapses store by store, of the cluster of the store that has most."""
    merged: dict[str, Behind] = {}
    for store, explained in own:
        for one in explained.behind:
            if one.number in _PER_STORE:
                of_store = one._replace(number=f"{one.number} in {store}")
                known = merged.get(of_store.number, of_store)
                merged[of_store.number] = max(known, of_store, key=attrgetter("value"))
            else:
                known = merged.get(one.number, one._replace(value=0, ids=()))
                merged[one.number] = known._replace(value=known.value + one.value, ids=(known.ids + one.ids)[:_FACTS])
    return list(merged.values())
