"""Values of several stores that are asked as one. Not imported by `failaware.model`: few commands need them."""

from typing import Any, NamedTuple, Self

from failaware.model.answers import Cluster

_BITS = 48  # of the id within its store

_FEW = 3  # stores that are named


class StoreId(int):
    """The id of a fact in one of several stores: `42@shop` as text; as a number, unique among all of them.

    The id of an event in a list also has its `cursor`: for each store, by its number, the id from which on its events
    come before this one in a list with the newest first.
    """

    store: str
    cursor: dict[int, int]

    def __new__(cls, number: int, part: int, store: str) -> Self:
        """The id `number` of the store with this name, which is the `part`th, from 1."""
        self = super().__new__(cls, part << _BITS | number)
        self.store = store
        self.cursor = {}
        return self

    def __str__(self) -> str:
        return f"{number_of(self)}@{self.store}"


def number_of(store_id: int) -> int:
    """The id within its store."""
    return store_id & (1 << _BITS) - 1


def part_of(store_id: int) -> int:
    """The number of the store, from 1; 0 for an id without a store."""
    return store_id >> _BITS


class InStore(NamedTuple):
    """The part of a cluster that is in one store, with its own episodes and relapses, which do not add up."""

    store: str
    cluster_id: int
    events: int
    unresolved: int
    failures: int
    episodes: int
    relapses: int
    last_failed_at: int


class ClusterOfStores(Cluster):
    """A cluster over several stores: sums, and the highest `episodes` and `relapses` of a store."""

    stores: tuple[InStore, ...] = ()
    """Its parts, most failures first."""

    def _asdict(self) -> dict[str, Any]:
        return {**super()._asdict(), "stores": self.stores}


def names_of(cluster: Cluster) -> str:
    """The stores that a cluster is in, if there are few, else how many; "" for a cluster of one store alone."""
    names = list(dict.fromkeys(one.store for one in getattr(cluster, "stores", ())))
    return ", ".join(names) if len(names) <= _FEW else f"{len(names)} stores"


class Aggregates(NamedTuple):
    """What one store contributes to the clusters of several: rows of its tables, and its settings by name."""

    clusters: tuple[tuple[Any, ...], ...]
    counts: tuple[tuple[Any, ...], ...]
    templates: tuple[tuple[Any, ...], ...]
    settings: dict[str, str]
