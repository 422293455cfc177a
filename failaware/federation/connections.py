"""What is known of all stores: whether they changed, as whom they are read, and which are left out."""

from collections.abc import Sequence

from failaware.engine.derivation import CURRENT
from failaware.federation.parts import Parts, call
from failaware.federation.union import Union
from failaware.model.stores import InStore
from failaware.read.connections import ConnectionRegistry


class StoreConnections(ConnectionRegistry):
    """The connections of a federation: those of its parts."""

    def __init__(self, parts: Parts, union: Union) -> None:
        self._parts, self._union = parts, union

    def _states(self) -> list[tuple[str, str, str, str | None]]:
        return list(self._parts.ask(dict.fromkeys(self._parts.all, call("state"))).values())

    def change_token(self) -> object:
        """A value that changes when a store does, and when one is left out or is back."""
        return self._parts.tokens()

    def role(self) -> str:
        """How many stores there are, and how many answer."""
        every = len(self._parts.all)
        absent = sum(part.problem is not None for part in self._parts.all)
        return f"{every - absent} of {every} stores" if absent else f"{every} stores"

    def flush_mode(self) -> str:
        """That of the stores, if it is the same; else the slowest."""
        return max((flush for _, flush, *_ in self._states()), key=lambda mode: (mode == "under the lock", mode))

    def derivation(self) -> tuple[str, str | None]:
        """The first one that is not current."""
        states = [(state, by) for *_, state, by in self._states()]
        return next((own for own in states if own[0] != CURRENT), states[0])

    def parts_of(self, cluster_id: int) -> Sequence[InStore]:
        """The parts of a cluster as of the last question about clusters."""
        return self._union.stores.get(cluster_id, ())

    def names(self) -> Sequence[str]:
        """Those of all, also of stores that are left out."""
        return [part.name for part in self._parts.all]

    def is_complete(self) -> bool:
        """Whether none is left out."""
        return not any(part.problem for part in self._parts.all)

    def notes(self) -> list[str]:
        """The stores that are left out and why, and whether their rules differ."""
        notes = self._parts.notes()
        if self._union.policies_differ:
            first = self._parts.all[0].name
            notes.append(
                f"the policies or grouping rules of the stores differ; clusters are judged by those of {first}"
            )
        notes += [
            f"{one.name} and {other.name} have the same failures; name one of them, unless they are different stores"
            for one, other in self._union.alike()
        ]
        return notes

    def interrupt(self) -> None:
        """Interrupt the queries that are running."""
        self._parts.interrupt()
