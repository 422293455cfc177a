"""One history, recorded twice: into one store, and divided among several, whose events keep the names of the one."""

from contextlib import ExitStack, suppress
from random import Random

from failaware import Inspector, Store, UsageError
from failaware.federation import open_stores
from failaware.federation.places import StorePlace
from failaware.model.stores import StoreId, number_of, part_of
from tests.conftest import HOUR, Clock, query

ALONE = ("alone.0", "alone.1", "alone.2", "alone.3")  # the type of each store
SHARED = ("shared.x", "shared.y")
WORDS = (
    "amber",
    "birch",
    "cedar",
    "dahlia",
    "elder",
    "fern",
    "ginkgo",
    "hazel",
    "iris",
    "juniper",
    "kale",
    "larch",
    "m",
)
WAITS_S = (0.001, 1, 600, 3_700, 8_000)
NAMES = ("one", "two", "three", "four")
WHY = {"because": "one", "by": "ada"}


class DividedHistory:
    """`whole` has everything, and each of `stores` a part; events stay in the store that they began in."""

    def __init__(self, whole, places, seed):
        self.random, self.clock = Random(seed), Clock()
        self._stack = ExitStack()
        self.places = [StorePlace(name, str(place)) for name, place in zip(NAMES, places, strict=False)]
        self.whole, *self.stores = (
            self._stack.enter_context(Store.open(place, synchronous="NORMAL", clock=self.clock))
            for place in (whole, *places)
        )
        self.whole_place = whole
        self.ids = {"event_id": {}, "attempt_id": {}, "decision_id": {}}  # (part, id) -> id in the whole
        self.moments = []
        self.erases = seed % 3 == 0
        self.erased_at = 0  # µs
        self._undoable = []  # corrections, of the whole and of one store
        self._differ = set()  # types of which the whole has recorded fewer merges than all stores

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def inspectors(self):
        """Of the whole, and of the parts as one."""
        return Inspector.open(self.whole_place, clock=self.clock), open_stores(self.places, clock=self.clock)

    def live(self, steps):
        for _ in range(steps):
            self.clock.advance(self.random.choice(WAITS_S))
            self.moments.append(self.clock.now)
            weights = {
                "record": 2,
                "fail": 7,
                "succeed": 4,
                "decide": 2,
                "merge": 1,
                "split": 1,
                "undo": 1,
                "erase": self.erases,
            }
            (step,) = self.random.choices(list(weights), list(weights.values()))
            getattr(self, step)()

    def _place(self):
        part = self.random.randrange(len(self.stores))
        return part, self.random.choice([ALONE[part], *SHARED])

    def _key(self):
        part, kind = self._place()
        return part, kind, f"{part}:{kind}:{self.random.randrange(6)}"

    def record(self):
        part, kind = self._place()
        self._both(part, lambda store: store.record(kind, {"n": 1}, source="web").event_id)

    def fail(self):
        part, kind, key = self._key()
        word = self.random.choice(WORDS)
        error = f"ValueError: no route to {word} from here" if word < "m" else "OSError: disk 'x' is full"
        if kind in ALONE and self.random.random() < 0.3:
            error = f"KeyError: order {self.random.randrange(3)} is lost"
        retry_at = self.clock.now + self.random.choice([1, HOUR]) if self.random.random() < 0.5 else None
        self._both(part, lambda store: store.report_attempt(kind, {}, key=key, error=error, retry_at=retry_at))

    def succeed(self):
        part, kind, key = self._key()
        self._both(part, lambda store: store.report_attempt(kind, {}, key=key))

    def decide(self):
        known = sorted(self.ids["event_id"].items())
        if not known:
            return
        (part, event_id), in_whole = self.random.choice(known)
        decide = self.random.choice(["requeue", "dismiss"])
        try:
            for store, number in ((self.whole, in_whole), (self.stores[part - 1], event_id)):
                getattr(store, decide)([number], because="seen", by="ada")
        except UsageError:  # there is nothing to decide
            return
        self._note(part, "decision_id", "decision_log")

    def merge(self):
        """A person merges two clusters in one of the stores; the whole may have learned already that they are one."""
        store = self.random.choice(self.stores)
        known = query(store, "SELECT event_type, cluster_id FROM failure_cluster ORDER BY 1, 2")
        pairs = [(one, other) for kind, one in known for of, other in known if kind == of and one != other]
        if pairs:
            pair = self.random.choice(pairs)
            kind = next(kind for kind, one in known if one == pair[0])
            own = store.merge_clusters(pair, **WHY)
            try:
                self._undoable.append((kind, self.whole.merge_clusters(pair, **WHY), store, own))
            except UsageError:
                self._differ.add(kind)

    def split(self):
        """A person splits a cluster that is in one store alone: what a split means for other stores is documented."""
        part = self.random.randrange(len(self.stores))
        store = self.stores[part]
        sql = "SELECT cluster_id FROM failure_cluster WHERE event_type = ? ORDER BY 1"
        if known := query(store, sql, (ALONE[part],)):
            cluster_id, by = self.random.choice(known)[0], self.random.choice(["<*>", "<n>"])
            try:
                in_whole = self.whole.split_cluster(cluster_id, split_by=by, **WHY)
            except UsageError:  # it has no such placeholder
                return
            self._undoable.append((ALONE[part], in_whole, store, store.split_cluster(cluster_id, split_by=by, **WHY)))

    def undo(self):
        """Undo a correction in the whole and in its store, unless others have merged the same clusters."""
        known = [one for one in self._undoable if one[0] not in self._differ]
        if known:
            self._undoable.remove(one := self.random.choice(known))
            _, in_whole, store, own = one
            for number in in_whole:
                self.whole.undo_correction(number, **WHY)
            for number in own:
                store.undo_correction(number, **WHY)

    def erase(self):
        """Erase the content of an event, which has no attempt due."""
        if known := sorted(self.ids["event_id"].items()):
            (part, event_id), in_whole = self.random.choice(known)
            with suppress(UsageError):
                self.whole.erase([in_whole], **WHY)
                self.erased_at = self.clock.now
                self.stores[part - 1].erase([event_id], **WHY)
                self._note(part, "decision_id", "decision_log")

    def _both(self, part, record):
        in_whole, own = record(self.whole), record(self.stores[part])
        self.ids["event_id"][part + 1, own] = in_whole
        self._note(part + 1, "attempt_id", "attempt_log")

    def _note(self, part, key, table):
        newest = f"SELECT max({key}) FROM {table}"
        ((in_whole,),), ((own,),) = query(self.whole, newest), query(self.stores[part - 1], newest)
        if own is not None:
            self.ids[key].setdefault((part, own), in_whole)

    def in_whole(self, value, name=""):
        """An answer as plain values, with the ids of the whole."""
        if isinstance(value, StoreId):
            kind = {"example_attempt": "attempt_id", "entity_id": "event_id"}.get(name, name)
            return self.ids[kind][part_of(value), number_of(value)]
        if hasattr(value, "_asdict"):
            own_to_stores = (
                {"stores", "traceback"} if self.erased_at else {"stores"}
            )  # an erasure leaves a shared traceback
            fields = value._asdict().items()
            return {field: self.in_whole(own, field) for field, own in fields if field not in own_to_stores}
        if isinstance(value, dict):
            return {field: self.in_whole(own, field) for field, own in value.items()}
        if isinstance(value, list | tuple):
            return [self.in_whole(item, name) for item in value]
        return value

    def id_of(self, in_whole):
        """The id of an event of the whole, in its store."""
        part, number = next(own for own, known in self.ids["event_id"].items() if known == in_whole)
        return StoreId(number, part, NAMES[part - 1])
