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
        self = super().__new__(cls, part << _BITS | number_of(number))  # a false number is still one of that store
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


def written(value: Any) -> Any:
    """A value for JSON, in which the ids of several stores are written `42@shop`."""
    if isinstance(value, StoreId):
        return str(value)
    if isinstance(value, dict):
        return {name: written(item) for name, item in value.items()}
    return [written(item) for item in value] if isinstance(value, list | tuple) else value


def from_here(event_id: int) -> int:
    """The cursor of a page with the newest first that begins with this event."""
    if not isinstance(event_id, StoreId):
        return event_id + 1
    above = StoreId(number_of(event_id) + 1, part_of(event_id), event_id.store)
    above.cursor = event_id.cursor
    return above


def is_newer(event_id: int, than: int) -> bool:
    """Whether an event comes before another one in a list with the newest first."""
    if not isinstance(than, StoreId):
        return event_id > than
    return event_id != than and number_of(event_id) >= than.cursor.get(part_of(event_id), 0)


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


class Overlap(NamedTuple):
    """How often events that failed in several of a store's clusters count too many, once these clusters are one."""

    events: int
    recovered: int
    entries: tuple[tuple[int, int], ...]
    """The same by hour (since the epoch), in which they entered."""


class Aggregates(NamedTuple):
    """What one store contributes to the clusters of several: rows of its tables, and its settings by name.

    The columns are those of `failaware.read.aggregates`.
    """

    clusters: tuple[tuple[int, str, str | None, str, int, int, int, int, int, int, int, int, int], ...]
    counts: tuple[tuple[str, str, int, int, str, int], ...]
    templates: tuple[tuple[int, str, str | None, int, int, int, str | None], ...]
    corrections: tuple[tuple[int, str, int, int | None, str | None], ...]
    settings: dict[str, str]
