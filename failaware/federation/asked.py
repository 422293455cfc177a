"""What the questions of a federation share: its parts, the joined clusters, and how parts are asked."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from failaware.errors import FilterError, StoreError
from failaware.federation.connections import StoreConnections
from failaware.federation.part import Part
from failaware.federation.parts import Call, Parts, call
from failaware.federation.questions import Progress
from failaware.federation.union import Union
from failaware.model.stores import Aggregates, Overlap, StoreId, number_of, part_of
from failaware.read.clusters import id_in_filter
from failaware.read.inspector import Inspector


class Asked(Inspector):
    """An inspector of several stores, without its questions."""

    def __init__(
        self, parts: Parts, union: Union, clock: Callable[[], int], handles: Mapping[Part, int] | None = None
    ) -> None:
        """Created by `open_stores`; `handles` are those of a moment."""
        self.parts = parts
        self.union = union
        """The joined clusters as of the last `join`."""
        self.now = clock
        self.connections = StoreConnections(parts, union)
        self._handles = handles
        self._known: dict[Part, tuple[tuple[int, int], Any]] = {}  # of each part, the token of its aggregates, and they

    def ask(
        self,
        question: str,
        *args: Any,
        of: Sequence[Part] | None = None,
        progress: Progress | None = None,
        **named: Any,
    ) -> dict[Part, Any]:
        """Ask all parts, or some, the same question; the answers have the parts' own ids."""
        asked = call(question, *args, **named)
        return self.ask_each(dict.fromkeys(self.parts.all if of is None else of, asked), progress=progress)

    def ask_each(self, calls: Mapping[Part, Call], *, progress: Progress | None = None) -> dict[Part, Any]:
        """Ask each part its own question."""
        if self._handles is not None:
            calls = {part: own for part, own in calls.items() if part in self._handles}
        return self.parts.ask(calls, handles=self._handles, progress=progress)

    def mapped(self, answers: Mapping[Part, Any]) -> list[Any]:
        """The answers with the ids of all stores."""
        return [self.union.names(part).mapped(answer) for part, answer in answers.items()]

    def join(self) -> Union:
        """The joined clusters, as of now: only what has changed is read again."""
        known = {part: own for part, own in self._known.items() if own[0][0] == part.generation}
        answers = self.ask_each(
            {part: call("aggregates", known[part][0][1] if part in known else -1) for part in self.parts.all}
        )
        for part, (token, aggregates) in answers.items():
            if aggregates is not None:
                known[part] = (part.generation, token), aggregates
        self._known = known
        self._join({part: known[part][1] for part in answers})
        return self.union

    def _join(self, aggregates: Mapping[Part, Aggregates]) -> None:
        """Join these; leave out other hosts whose rows contradict each other or those of the stores here."""
        try:
            self.union.update(aggregates, self.overlaps)
        except Exception as error:
            joined = {part: own for part, own in aggregates.items() if not part.is_remote}
            if not joined or len(joined) == len(aggregates):
                raise
            for part in aggregates.keys() - joined.keys():
                try:
                    Union().update({**joined, part: aggregates[part]})
                except Exception:  # noqa: BLE001 - what they are depends on what the other host has invented
                    part.problem = f"does not answer: its clusters are not as failaware makes them ({error})"
                else:
                    joined[part] = aggregates[part]
            self.union.update({part: joined[part] for part in aggregates if part in joined}, self.overlaps)

    def overlaps(self, groups: Mapping[Part, list[list[int]]]) -> dict[Part, list[Overlap]]:
        """Ask parts about groups of their clusters; a part that does not answer then is left out next time."""
        with suppress(StoreError):
            return self.ask_each({part: call("overlaps", own) for part, own in groups.items()})
        return {}

    def members(self, part: Part, value: str) -> list[int]:
        """The ids of a store's own clusters for a value of `cluster:`.

        Raises:
            FilterError: more than one cluster begins with these digits, or there is no such store.
        """
        return self.union.members(part, self.cluster_id(value))

    def cluster_id(self, value: str) -> int:
        """The id of the joined cluster that a value of `cluster:` names; `4195@shop` by its id in a store.

        Raises:
            FilterError: as `members`.
        """
        number, at, store = value.partition("@")
        if not at:
            return id_in_filter(self.union.db, number)
        part = self.parts.by_name(store)
        own = [] if part is None else self.union.own_ids(part)
        matches = [int(number)] if int(number) in own else [each for each in own if str(each).startswith(number)]
        if part is None or len(matches) != 1:
            problem = "more than one cluster begins with" if matches else "there is no cluster"
            known = f"write DIGITS@STORE, where STORE is one of {self.parts.names()}"
            raise FilterError(f"{problem} {value[:60]}; {known}")
        return self.union.names(part).cluster(matches[0])

    def ask_members(self, cluster_id: int, make: Callable[[int], Call]) -> list[tuple[Part, Any]]:
        """Ask each store about each of its own clusters that belong to a joined one; ids are those of all stores."""
        members = {part: self.union.members(part, cluster_id) for part in self.parts.all}
        answers: list[tuple[Part, Any]] = []
        for place in range(max(map(len, members.values()), default=0)):
            own = self.ask_each({part: make(ids[place]) for part, ids in members.items() if len(ids) > place})
            answers += zip(own, self.mapped(own), strict=True)
        return answers

    def named(self, number: int) -> StoreId:
        """The id of a fact that is known as a number."""
        part = part_of(number)
        return StoreId(number_of(number), part, self.parts.all[part - 1].name)
