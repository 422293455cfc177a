"""The facts of a store as a test remembers them: which were acknowledged, and what each of them may say."""

import json
from contextlib import suppress

from failaware import Handlers, NotFound, Permanent, Retry, Store, UsageError, Worker
from failaware.ingest.lines import ingest_lines
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.schema.catalogue import FACTS


def facts(store):
    """All facts: {table: {key: row}}."""
    return store.session.read(_facts)


def _facts(db):
    return {
        table: {row[0]: row for row in db.query(f"SELECT {guarded.key}, * FROM {table}")}
        for table, guarded in FACTS.items()
    }


class Memory:
    """What a store has acknowledged so far, and every row that it ever showed."""

    def __init__(self):
        self.acknowledged = {table: set() for table in FACTS}
        self._shown = {table: {} for table in FACTS}

    def see(self, store):
        """Take note of what the store says now; returns how many facts of each table it has acknowledged."""
        for table, rows in facts(store).items():
            self.acknowledged[table] |= set(rows)
            for key, row in rows.items():
                self._shown[table].setdefault(key, set()).add(row)
        return {table: frozenset(keys) for table, keys in self.acknowledged.items()}

    def foreign(self, stored):
        """Rows that were never shown so."""
        return [
            (table, row)
            for table, rows in stored.items()
            for key, row in rows.items()
            if row not in self._shown[table].get(key, ())
        ]


def lost(acknowledged, stored):
    """The acknowledged facts that are not there."""
    return [(table, key) for table, keys in acknowledged.items() for key in keys - set(stored[table])]


def must_hold(path):
    """Facts unchanged, derived exactly, file sound; no attempt twice."""
    stored = verify(path)
    assert not stored.findings, stored.findings[:5]
    return stored.facts


class Busy:
    """A store that is used at random in every way, on a clock set by the test."""

    def __init__(self, path, clock, rng, **how):
        self._path, self._clock, self._rng, self._how = path, clock, rng, how
        self.store = None
        self._n = 0
        self.steps = (self._record, self._record, self._keyed, self._many, self._ingest, self._work, self._work)
        self.steps += (
            self._decide,
            self._decide,
            self._erase,
            self._seal,
            self._rebuild,
            self._checkpoint,
            self.reopen,
        )
        self._handlers = Handlers()
        self._handlers.on("*", retry=Retry(max_attempts=3, base=60, jitter=0))(self._handle)

    def step(self):
        """Do something; the store is opened when it is not."""
        if self.store is None:
            self.store = Store.open(self._path, clock=self._clock, **self._how)
            self.store.session.read(lambda db: db.query("PRAGMA wal_autocheckpoint = 60"))
        self._clock.advance(self._rng.choice((0.001, 1, 90, 4000)))
        self._rng.choice(self.steps)()

    def reopen(self):
        """Close it; the next step opens it again."""
        store, self.store = self.store, None
        if store is not None:
            store.close()

    def _handle(self, event):
        dice = self._rng.random()
        if dice < 0.3:
            raise ConnectionError(f"10.0.0.{event.event_id % 9} refused")
        if dice < 0.4:
            raise Permanent(f"order {event.event_id} is unknown")

    def _next(self):
        self._n += 1
        return self._n

    def _record(self):
        self.store.record("a.x", {"n": self._next(), "text": "x" * self._rng.randrange(3000)})

    def _keyed(self):
        self.store.record("a.y", self._next(), key=f"k{self._rng.randrange(20)}")

    def _many(self):
        self.store.record_many(("b", self._next()) for _ in range(self._rng.randrange(1, 30)))

    def _ingest(self):
        error = {"type": "Late", "message": f"since {self._next()} s"}
        ingest_lines(self.store.session, [json.dumps({"type": "c", "error": error}).encode(), b"{"], origin="file")

    def _work(self):
        Worker(self.store, self._handlers, batch=self._rng.choice((1, 5, 50))).run(until_idle=True, patience=0)

    def _some(self):
        ((newest,),) = self.store.session.read(lambda db: db.query("SELECT coalesce(max(event_id), 1) FROM event_log"))
        return [self._rng.randint(1, newest)]

    def _decide(self):
        self._try(self._rng.choice((self.store.requeue, self.store.dismiss)))

    def _erase(self):
        self._try(self.store.erase)

    def _try(self, decide):
        with suppress(UsageError, NotFound):  # it makes no sense for this event
            decide(self._some(), because="dice")

    def _seal(self):
        seal_all(self.store.session, self._clock())

    def _rebuild(self):
        self.store.rebuild()

    def _checkpoint(self):
        self.store.session.read(lambda db: db.query("PRAGMA wal_checkpoint(PASSIVE)"))
