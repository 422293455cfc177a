"""Random histories: everything that makes facts, on a clock that is moved by hand, also backwards and not at all."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from failaware import Handlers, NotFound, Permanent, Retry, Store, UsageError, Worker
from failaware.derive.rules import Policy
from failaware.ingest.lines import ingest_lines
from failaware.integrations.task_log import TaskLog
from failaware.ledger import archive
from failaware.ledger.sealing import seal_all
from tests.conftest import Clock
from tests.oracle import facts

TYPES = ("a.x", "a.y", "b")
ERRORS = (
    (ValueError, "bad value {}"),
    (ConnectionError, "refused by peer"),
    (OSError, "disk {} is full"),
    (Permanent, "wrong token {}"),
)
SECONDS = (0, 0, 1e-6, 1, 59, 1_200, 3_660, 11_000, -1_800, -20_000)


class History:
    """A store, and what happens to it."""

    def __init__(self, path, random):
        self.path, self.random = path, random
        self.clock = Clock()
        self.store = Store.open(path, synchronous="NORMAL", clock=self.clock)
        self.remembered = {}
        self.archives = 0
        handlers = Handlers()
        handlers.on("*", retry=Retry(max_attempts=3, base=60, jitter=0))(self.handle)
        self.worker = Worker(self.store, handlers)
        self.moves = (
            [self.record, self.try_job, self.try_job, self.try_job, self.try_task, self.try_task, self.work, self.work]
            + [self.decide, self.decide]
            + 2 * [self.record_many]
            + [self.erase, self.set_policy, self.reject]
        )

    def live(self, steps, *, archiving=False):
        """So many steps; returns what happened, to be read when something differs."""
        names = []
        for number in range(steps):
            move = self.archive if archiving and number == steps // 2 else self.random.choice(self.moves)
            names.append(move.__name__)
            move()
            self.clock.advance(self.random.choice(SECONDS))
        return names

    def facts(self):
        return self.store.read(lambda db: facts.read(db, self.store.policy, self.clock.now, self.remembered))

    def error(self):
        """An exception, or None for a success."""
        if self.random.random() < 0.4:
            return None
        kind, message = self.random.choice(ERRORS)
        return kind(message.format(self.random.randint(1, 99)))

    def event_ids(self):
        return self.store.read(lambda db: [row[0] for row in db.query("SELECT event_id FROM event_log ORDER BY 1")])

    def record(self):
        with suppress(UsageError):
            kind = self.random.choice(TYPES)
            key = f"{kind}:{self.random.randint(1, 3)}" if self.random.random() < 0.5 else None
            self.store.record(kind, {"n": 1}, key=key, source=self.random.choice([None, "web"]))

    def record_many(self):
        kind = self.random.choice(TYPES)
        keyed = [{"type": kind, "payload": n, "key": f"{kind}:{n % 3}"} for n in range(self.random.randint(1, 4))]
        self.store.record_many([*keyed, (kind, "no key")])

    def try_job(self):
        """An attempt by its caller; the job is one of few, which are tried again and again."""
        kind, error = self.random.choice(TYPES[:2]), self.error()
        with (
            suppress(ValueError, OSError, Permanent),
            self.store.attempt(kind, key=f"{kind}:{self.random.randint(1, 2)}"),
        ):
            self.clock.advance(self.random.choice([0, 0.5]))
            if error:
                raise error

    def try_task(self):
        """An attempt by a task queue, which gives it a number: some are left out, some come late."""
        log, error, now = TaskLog(self.store, "celery"), self.error(), self.clock.now
        retry_at = (
            now + self.random.choice([1, 90, 5_000]) * 1_000_000 if error and self.random.random() < 0.5 else None
        )
        attempt = log.attempt(error, worker="w#celery", started_at=now, retry_at=retry_at)
        number = self.random.choice([None, None, 1, 2, 3, 5])
        log.write(str(self.random.randint(1, 2)), "a.y", {}, [attempt._replace(number=number)])

    def handle(self, _event):
        self.clock.advance(self.random.choice([0, 0.5]))
        if error := self.error():
            raise error

    def work(self):
        self.worker.run(until_idle=True, patience=0)

    def decide(self):
        with suppress(UsageError, NotFound):
            decision = self.random.choice([self.store.requeue, self.store.dismiss])
            decision([self.random.choice(self.event_ids() or [1])], because="dice", by="dice")

    def erase(self):
        self.facts()  # which remembers what failures were like
        if self.random.random() < 0.3:
            with suppress(UsageError, NotFound):
                self.store.erase([self.random.choice(self.event_ids() or [1])], because="dice")

    def set_policy(self):
        self.store.rebuild(Policy(*(self.random.randint(1, 3) for _ in Policy._fields)))

    def reject(self):
        ingest_lines(self.store, [b"{"], origin="elsewhere")

    def archive(self):
        """What is settled and older than now goes to a file of its own."""
        self.facts()
        self.archives += 1
        seal_all(self.store, self.clock.now)
        before, db = self.clock.now, self.store._db
        chosen = archive.choose(db, before)
        name = f"old{self.archives}.db"
        moved = archive.next_archive(db, name, chosen, before=before, by="dice", reason="dice", now=self.clock.now)
        if any(ranges for ranges in chosen.moved.values()):
            self.store.write(partial(archive.remove, archive=moved, chosen=chosen, policy=self.store.policy))

    def close(self):
        self.store.close()


def store_in(folder):
    return Path(folder) / "s.db"
