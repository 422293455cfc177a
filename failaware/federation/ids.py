"""The ids in an answer of one store, as ids of several stores, and the clusters of the store as those of all."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from failaware.model import Behind, Explanation, SeverityChange
from failaware.model.differences import Changed, Correction, Move
from failaware.model.patterns import Figure
from failaware.model.stores import StoreId

T = TypeVar("T")
_OWN_IDS = {
    *("event_id", "attempt_id", "decision_id", "reject_id", "example_attempt"),
    *("correction_id", "undoes", "undone_by"),
}
_EVENT = re.compile(r"\bevent (\d+)")
_FIGURE = re.compile(r"^id:(\d+)$")


class Names:
    """How the ids of one store are named: its number and name, and the cluster of all stores for each of its own."""

    def __init__(self, part: int, store: str, clusters: Mapping[int, int]) -> None:
        self.part, self.store, self._clusters = part, store, clusters

    def of(self, number: int) -> StoreId:
        """The id of a fact of this store."""
        return StoreId(number, self.part, self.store)

    def cluster(self, cluster_id: int) -> int:
        """The cluster of all stores."""
        return self._clusters.get(cluster_id, cluster_id)

    def mapped(self, answer: T) -> T:
        """The answer with the ids of several stores."""
        return self._mapped(answer)  # type: ignore[no-any-return]

    def _mapped(self, answer: Any) -> Any:
        if isinstance(answer, list):
            return [self._mapped(item) for item in answer]
        if not isinstance(answer, tuple):
            return answer
        if not hasattr(answer, "_fields"):
            return tuple(self._mapped(item) for item in answer) if _is_nested(answer) else answer
        values = list(answer)
        for position, name in enumerate(answer._fields):
            value = values[position]
            if value is None:
                continue
            if name in _OWN_IDS:
                values[position] = self.of(value)
            elif name == "cluster_id" and not isinstance(answer, Correction):  # the fact names the store's own
                values[position] = self.cluster(value)
            elif isinstance(value, tuple | list):
                values[position] = self._mapped(value)
        return self._special(type(answer)._make(values))  # type: ignore[attr-defined]

    def _special(self, value: Any) -> Any:
        """Ids in fields that other values use differently."""
        if isinstance(value, Explanation | Changed | Move):
            of = self.of if value.entity_type == "event" else self.cluster
            return value._replace(entity_id=of(value.entity_id))
        if isinstance(value, Behind):
            return value._replace(ids=tuple(map(self.of, value.ids)))
        if isinstance(value, SeverityChange):
            return value._replace(sentence=_EVENT.sub(rf"event \1@{self.store}", value.sentence))
        if isinstance(value, Figure):
            return value._replace(where=_FIGURE.sub(rf"id:\1@{self.store}", value.where))
        return value


def _is_nested(answer: tuple[Any, ...]) -> bool:
    return bool(answer) and isinstance(answer[0], tuple)


@cache
def digits(text: str) -> tuple[int, str] | None:
    """The number and the store of `42@shop`; None if the text is not written so."""
    match = re.fullmatch(r"(\d{1,14})@(.+)", text)
    return (int(match[1]), match[2]) if match else None
