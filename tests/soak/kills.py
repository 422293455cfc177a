"""SIGKILL at random moments of whoever writes: what was acknowledged is there once, and all of it verifies."""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from failaware import Handlers, Inspector, Retry, Store, Worker
from failaware.ingest.files import ingest_file
from failaware.read.export import Export
from tests.conftest import Clock
from tests.remembering import Busy, Memory, fact_rows, lost, must_hold
from tests.soak.actors import ACTORS

ROOT = Path(__file__).parents[2]
LONGEST_S = 0.4  # from when all have begun until they are killed
TOGETHER = 3  # actors that write at the same time
_TWICE = (
    # what must be there once, and never is twice
    "SELECT event_id, attempt_no FROM attempt_log GROUP BY 1, 2 HAVING count(*) > 1",
    "SELECT event_id FROM attempt_log WHERE outcome = 'SYNCED' GROUP BY 1 HAVING count(*) > 1",
    "SELECT event_id FROM event_log WHERE event_type = 'line.plain' GROUP BY event_payload HAVING count(*) > 1",
    # half of a batch, of a chunk, of an erasure
    "SELECT event_type FROM event_log WHERE event_type LIKE 'chunk.%' GROUP BY 1 HAVING count(*) % 20 <> 0",
    "SELECT event_id FROM attempt_log GROUP BY 1 HAVING count(*) <> max(attempt_no)",
)


class Kills:
    """One store, and those who write to it and are killed."""

    def __init__(self, folder, rng):
        self.path, self._rng = Path(folder) / "store.db", rng
        self._memory, self._round = Memory(), 0
        self.counts = Counter({"lost": 0})
        Store.open(self.path).close()
        self._restored = self._export()

    def _export(self):
        """An export to be taken back, of a store with all kinds of facts; returns its lines."""
        other = self.path.with_name("other.db")
        busy = Busy(other, Clock(), self._rng, synchronous="NORMAL")
        for _ in range(40):
            busy.step()
        busy.reopen()
        lines = exported(other)
        self.path.with_name(self.path.name + ".export").write_text("".join(f"{line}\n" for line in lines))
        return lines

    def round(self, names):
        """Let these actors run together, kill all of them, and prove what they left behind."""
        self._round += 1
        with ExitStack() as stack:
            processes = [stack.enter_context(self._start(name)) for name in names]
            said = [process.stdout.readline() for process in processes]  # all are amid their work
            time.sleep(self._rng.uniform(0, LONGEST_S))
            for process in processes:
                assert process.poll() is None, process.stderr.read()
                process.kill()
            for number, process in enumerate(processes):
                rest, wrong = process.communicate(timeout=60)
                assert not wrong, wrong
                said[number] += rest
        self.counts["kills"] += len(names)
        self._prove([line.split() for text in said for line in text.splitlines(keepends=True) if line.endswith("\n")])

    def _start(self, name):
        command = [sys.executable, "-m", "tests.soak.actors", name, str(self.path), str(self._round)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    def _prove(self, acknowledged):
        with Inspector.open(self.path) as inspector:
            found = fact_rows(inspector.db)
            for sql in _TWICE:
                assert not inspector.db.query(sql), sql
        self._memory.take(found)
        gone = [what for what in acknowledged if not self._is_there(what, found)]
        gone += lost(self._memory.acknowledged, found)
        assert not gone, gone[:5]
        self.counts["acknowledged"] += len(acknowledged)
        must_hold(self.path)
        self._prove_made({what[1]: what[0] for what in acknowledged if what[0] in {"made", "begun", "restored"}})

    def _is_there(self, what, found):
        """Whether what was acknowledged so is among the facts."""
        kind, *values = what
        if kind == "key":
            return found["event_key"].get(values[1], (None, None, None))[2] == int(values[0])
        if kind == "line":
            return values[0] in found["event_key"]
        if kind == "event":
            return all(int(value) in found["event_log"] for value in values)
        if kind == "erased":
            return '"[erased]"' in found["event_log"][int(values[0])]
        if kind == "ran":
            of_type = [row[1] for row in found["event_log"].values() if values[0] in row]
            ended = {row[2] for row in found["attempt_log"].values()}
            return sum(event_id in ended for event_id in of_type) >= int(values[1])
        return True

    def _prove_made(self, made):
        """Other stores: each can be opened and verifies; an interrupted export is taken to its end."""
        for name, how in made.items():
            if how != "made":
                with Store.open(name, synchronous="NORMAL") as store, open(f"{self.path}.export", "rb") as file:
                    taken = ingest_file(store, file, origin="export")
                assert how == "begun" or not taken.recorded
                assert exported(name) == self._restored
            must_hold(name)
        for name in self.path.parent.glob(f"{self.path.name}.{self._round}.*"):
            if name.suffix[1:].isdecimal():  # also what was being made at that moment
                Store.open(name).close()
                must_hold(name)

    def finish(self):
        """What the killed ones left behind is worked off."""
        handlers = Handlers()
        handlers.on("job.*", retry=Retry(max_attempts=4, base=0.01))(print_nothing)
        with Store.open(self.path, synchronous="NORMAL") as store:
            Worker(store, handlers).run(until_idle=True)
        self.counts["facts"] += must_hold(self.path)
        return self.counts


def print_nothing(_event):
    """A handler that succeeds."""


def exported(path):
    """The facts of a store, as lines."""
    with Inspector.open(path) as inspector:
        return list(Export(inspector.db).lines())


def try_kills(folder, rng, rounds):
    """Rounds of random actors; counts kills, and facts acknowledged and lost."""
    kills = Kills(folder, rng)
    for names in rounds:
        kills.round(names)
    return kills.finish()


def run(seconds, rng):
    """One store after the other, each with some twenty rounds."""
    total, end = Counter(), time.monotonic() + seconds
    while time.monotonic() < end:
        rounds = (rng.sample(sorted(ACTORS), TOGETHER) for _ in range(20) if time.monotonic() < end)
        with tempfile.TemporaryDirectory() as folder:
            total += try_kills(folder, rng, rounds)
    return dict(total)
