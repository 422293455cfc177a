"""Random histories: everything that makes facts, on a clock that may also go backwards or stop."""

import json
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from hypothesis import strategies as st

from failaware import Handlers, Inspector, NotFound, Retry, Store, UsageError, Worker
from failaware.derive.grouping.groups import GroupingRules
from failaware.facts import claim
from failaware.ingest.lines import ingest_lines
from failaware.integrations.task_log import TaskLog
from failaware.rules import Policy
from tests.conftest import Clock, query
from tests.oracle import facts
from tests.oracle.errors import ERRORS, RAISED, RULES
from tests.oracle.grouping import Rules, kept_by_erasure
from tests.oracle.states import State

TYPES = ("a.x", "a.y", "b")
WAITS_S = (0, 0, 1e-6, 1, 59, 1_200, 3_660, 11_000, -1_800, -20_000)
FORWARD_S = (1e-6, 1, 1_200, 3_660, 11_000)
FACTS = (
    *("record", "record_many", "record_many", "try_job", "try_job", "try_job", "work", "work"),
    *("decide", "decide", "reject", "ingest"),
)
"""What adds facts and nothing else: what is said of them then is what the past says."""

ERASING = (*FACTS, "try_task", "try_task", "erase")
CORRECTING = (*ERASING, "correct", "correct")
"""With corrections of clusters."""

EVERYTHING = (*ERASING, *["try_task"] * 3, "erase", "flap", "burst", "lease", "set_policy", "set_grouping")

seeds = st.integers(0, 2**32 - 1)
"""Of histories, for tests of properties: the number says which one it is."""

policies = st.builds(Policy, **{name: st.integers(1, 3) for name in Policy._fields})


class History:
    """A store, and what happens to it: one of `moves` and then one of `waits` (seconds), again and again."""

    def __init__(self, path, random, *, moves=EVERYTHING, waits=WAITS_S):
        # Some of the moves, waits and errors alone, which then meet more often, find more than all in each history.
        share = random.choice([0.15, 0.5, 0.9])
        self.moves = [move for move in moves if random.random() < share] or moves
        self.waits = random.sample(waits, random.randint(1, len(waits)))
        self.errors = random.sample(ERRORS, random.choice([1, 2, len(ERRORS)]))
        self.path, self.random = path, random
        self.clock = Clock()
        self.store = Store.open(path, synchronous="NORMAL", clock=self.clock)
        self.rules, self.kept, self.flaps = Rules(), {}, 0
        handlers = Handlers()
        handlers.on("*", retry=Retry(max_attempts=3, base=60, jitter=0))(self.handle)
        self.worker = Worker(self.store, handlers)

    def live(self, steps, *, archiving=False):
        """So many steps; returns what happened, to be read when something differs."""
        return [self.step("archive" if archiving and number == steps // 2 else None) for number in range(steps)]

    def step(self, move=None):
        """One move, which it names, and one wait."""
        move = self.move(move)
        self.wait()
        return move

    def move(self, move=None):
        """The move of this name, or any of them."""
        move = move or self.random.choice(self.moves)
        getattr(self, move)()
        return move

    def wait(self):
        self.clock.advance(self.random.choice(self.waits))

    def facts(self):
        return self.store.session.read(self._facts)

    def _facts(self, db):
        return facts.read(db, self.store.session.policy, self.clock.now, self.rules, self.kept)

    def fail(self):
        """Raise an error, or not."""
        if self.random.random() < 0.6:
            self.random.choice(self.errors)(self.random.randint(1, 99))

    def event_ids(self):
        return [row[0] for row in query(self.store, "SELECT event_id FROM event_log ORDER BY 1")]

    def event_id(self):
        """Any event, or one of those with a key, which are tried again and again."""
        keyed = [row[0] for row in query(self.store, "SELECT event_id FROM event_key ORDER BY 1")]
        chosen = keyed if keyed and self.random.random() < 0.7 else self.event_ids()
        return self.random.choice(chosen or [1])

    def record(self):
        kind = self.random.choice(TYPES)
        key = f"{kind}:{self.random.randint(1, 3)}" if self.random.random() < 0.5 else None
        word = self.random.choice([None, None, None, "of the event", "{{ default }} of the event"])
        self.store.record(kind, {"n": 1}, key=key, source=self.random.choice([None, "web"]), fingerprint=word)

    def record_many(self):
        kind = self.random.choice(TYPES)
        keyed = [{"type": kind, "payload": n, "key": f"{kind}:{n % 3}"} for n in range(self.random.randint(1, 4))]
        self.store.record_many([*keyed, (kind, "no key")])

    def try_job(self):
        """An attempt by its caller; the job is one of few, which are tried again and again."""
        kind = self.random.choice(TYPES[:2])
        with suppress(*RAISED), self.store.attempt(kind, key=f"{kind}:{self.random.randint(1, 3)}"):
            self.clock.advance(self.random.choice([0, 0.5]))
            self.fail()

    def flap(self):
        """Five jobs of a type of their own fail with one error and succeed, again and again, some at the same time."""
        self.flaps += 1
        raises = self.random.choice(self.errors)
        for _ in range(12):
            key = f"{self.flaps}:{self.random.randint(1, 5)}"
            with suppress(*RAISED), self.store.attempt(f"flap.{self.flaps}", key=key):
                if self.random.random() < 0.5:
                    raises(7)
            self.clock.advance(self.random.choice([0, 0, 1]))

    def try_task(self):
        """An attempt by a task queue, which gives it a number: some are left out, some come late."""
        log, now, raised, retry_at = TaskLog(self.store, "celery"), self.clock.now, None, None
        try:
            self.fail()
        except RAISED as error:
            raised = error
            if self.random.random() < 0.5:
                retry_at = now + self.random.choice([1, 90, 5_000]) * 1_000_000
        number = self.random.choice([None, None, 1, 2, 3, 5])
        attempt = {"error": raised, "started_at": now, "retry_at": retry_at, "number": number, "worker": "w#celery"}
        log.write(str(self.random.randint(1, 2)), "a.y", {}, **attempt)

    def handle(self, _event):
        self.clock.advance(self.random.choice([0, 0.5]))
        self.fail()

    def work(self):
        self.worker.run(until_idle=True, patience=0)

    def burst(self):
        """Many that fail at once, and are due again in one minute."""
        self.store.record_many(("burst", number) for number in range(self.random.randint(9, 14)))
        self.work()

    def lease(self):
        """A worker, a program or an unknown process claims due events, and is slow or dies."""
        name = self.random.choice(["w:1#busy", "w:2#exec"])

        def job(db):
            due = claim.due(db, self.random.choice(TYPES), now=self.clock.now, limit=2)
            begun = [claimed._replace(begun=self.random.random() < 0.5) for claimed in due]
            until = self.clock.now + 90_000_000
            if name.endswith("#exec"):
                for claimed in due:
                    claim.hold(db, claimed.event.event_id, name, now=self.clock.now, until=until)
            else:
                claim.lease(db, begun, worker=name, until=until)

        self.store.session.write(job)

    def decide(self):
        """A decision is refused exactly if the event's state does not allow it."""
        self._decide(self.event_id(), self.random.choice(["requeue", "dismiss"]))

    def erase(self):
        event_id, shared, before = self.event_id(), self.random.random() < 0.5, self.facts()
        self._decide(event_id, "erase", shared_tracebacks=shared)
        self.kept = kept_by_erasure(before, self.facts(), before.rules, self.kept)

    def correct(self):
        """Merge two clusters, split one, or undo that, if it is possible."""
        clusters = [number for (number,) in query(self.store, "SELECT cluster_id FROM failure_cluster ORDER BY 1")]
        merge = self.random.choices(clusters or [1], k=2)
        split_by = self.random.choice(["frame", "<n>", "<*>"])
        reason = {"because": "dice", "by": "dice"}
        with suppress(UsageError, NotFound):
            self.random.choice([
                lambda: self.store.merge_clusters(merge, **reason),
                lambda: self.store.split_cluster(merge[0], split_by=split_by, **reason),
                lambda: self.store.undo_correction(self.random.randint(1, 3), **reason),
            ])()  # fmt: skip

    def _decide(self, event_id, kind, **options):
        before = self.facts()
        sensible = event_id in before.events and State(before, event_id).accepts(kind.upper())
        try:
            getattr(self.store, kind)([event_id], because="dice", by="dice", **options)
        except (UsageError, NotFound):
            assert not sensible, f"{kind} of event {event_id} was refused"
        else:
            assert sensible, f"{kind} of event {event_id} was not refused"

    def set_policy(self):
        self.store.rebuild(Policy(*(self.random.randint(1, 3) for _ in Policy._fields)))

    def set_grouping(self):
        chosen = tuple(rule for rule in RULES if self.random.random() < 0.3)
        self.rules = Rules(chosen, self.random.choice([1, 2, 4, 1_000]), self.random.choice([0, 2, 3, 8]))
        self.store.rebuild(grouping=GroupingRules.from_toml(self.rules.to_toml()))

    def reject(self):
        ingest_lines(self.store.session, [b"{"], origin="elsewhere")

    def ingest(self):
        """A failure that was seen elsewhere, at a time of its own."""
        at = (self.clock.now - self.random.randint(-9, 9) * 3_600_000_000) / 1_000_000
        error = {"type": "ValueError", "message": f"bad value {self.random.randint(1, 9)}"}
        if self.random.random() < 0.5:
            traceback = 'Traceback:\n  File "/srv/shop.py", line 3, in pay\n    x'
            error = {"type": "E", "message": "17", "traceback": traceback}
        line = json.dumps({"type": "a.x", "occurred_at": at, "error": error})
        ingest_lines(self.store.session, [line.encode()], origin="elsewhere")

    def archive(self):
        """Archive the resolved events that are older than now."""
        with tempfile.TemporaryDirectory() as folder:
            self.store.archive(Path(folder) / "old.db", before=self.clock.now, because="dice", by="dice")


def store_in(folder):
    return Path(folder) / "s.db"


@contextmanager
def random_history(seed, *, steps=12, moves=FACTS, waits=FORWARD_S):
    """A history in a folder of its own, and its inspector."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(store_in(folder), Random(seed), moves=moves, waits=waits)
        with history.store, Inspector.open(history.path, clock=history.clock) as inspector:
            history.live(steps)
            yield history, inspector
