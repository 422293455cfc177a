"""SIGKILL at random moments of everything that uses a store: what was acknowledged is there, once, and all verifies."""

import signal
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from failaware import Store
from failaware.engine import open_reader
from tests.remembering import must_hold
from tests.soak import programs

_EVENTS = 400
_LONGEST_S = 0.4  # a program lives, from when it has begun to say something or should have
_START_S = 0.25  # in which Python has started
_LOOK_EVERY = 12  # kills


class Ground:
    """One store, and what was acknowledged to those who were killed."""

    def __init__(self, folder, rng):
        self.path = folder / "store.db"
        self.kills = 0
        self.acknowledged = set()
        self._folder, self._rng = folder, rng
        self._n = 0

    def round(self):
        """Start some programs at once, kill them one after another, and remember what they said."""
        running = [self._start(self._rng.choice([*programs.PROGRAMS])) for _ in range(self._rng.randint(1, 4))]
        running.append(self._rng.choice((self._ingest, self._exec))())
        for process in running:
            time.sleep(_START_S / len(running) + self._rng.uniform(0, _LONGEST_S) ** 2)
            self._kill(process)

    def fresh(self):
        """Kill the first opening of a store, which makes its tables, and a restore; both go on when tried again."""
        self._n += 1
        new, copy, export = (self._folder / f"{name}{self._n}" for name in ("new.db", "copy.db", "export.jsonl"))
        process = self._start("produce", new)
        time.sleep(_START_S * self._rng.uniform(0.5, 1.5))
        keys = self._kill(process, remember=False)
        with Store.open(new) as store:
            known = dict(store.session.read(lambda db: db.query("SELECT key, event_id FROM event_key")))
        assert keys <= {("key", key, str(event_id)) for key, event_id in known.items()}
        must_hold(new)
        assert programs.command("--db", self.path, "export", "--out", export).wait(60) == 0
        process = programs.command("--db", copy, "restore", export)
        time.sleep(_START_S + self._rng.uniform(0, 0.5))
        self._kill(process, remember=False)
        assert programs.command("--db", copy, "restore", export).wait(60) == 0
        must_hold(copy)
        copied, taken = _facts(copy), _facts_in(export)
        seals = copied.pop("seal_log") - taken.pop("seal_log")
        assert copied == taken, (copied, taken)
        assert seals >= 0, seals  # closing the copy seals what was not sealed before the export
        for path in self._folder.glob(f"*{self._n}*"):
            path.unlink()

    def look(self):
        """Everything that was acknowledged is there; returns how many facts there are, and how many are lost."""
        facts = must_hold(self.path)
        with closing(open_reader(self.path)) as db:
            keys = {("key", key, str(number)) for key, number in db.query("SELECT key, event_id FROM event_key")}
            decided = {
                ("decision", str(number), reason)
                for number, reason in db.query("SELECT event_id, reason FROM decision_log")
            }
            twice = db.query("SELECT event_id, attempt_no FROM attempt_log GROUP BY 1, 2 HAVING count(*) > 1")
            assert twice == [], twice
            synced = "SELECT event_id FROM attempt_log WHERE outcome = 'SYNCED' GROUP BY 1 HAVING count(*) > 1"
            assert db.query(f"{synced} AND event_id NOT IN (SELECT event_id FROM decision_log)") == []
        return facts, len(self.acknowledged - keys - decided)

    def _start(self, program, path=None):
        self._n += 1
        return programs.start(program, path or self.path, f"{program}{self._n}")

    def _ingest(self):
        self._n += 1
        file = self._folder / f"lines{self._n % 3}.jsonl"  # the same files again and again: their keys are known
        file.write_text("".join(f"{line}\n" for line in programs.lines(file.name, _EVENTS)))
        return programs.command("--db", self.path, "ingest", "--synchronous", "NORMAL", file)

    def _exec(self):
        self._n += 1
        return programs.command("--db", self.path, "exec", "--type", "cron.job", "--", "sh", "-c", "sleep 0.1; exit 3")

    def _kill(self, process, *, remember=True):
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
        self.kills += 1
        whole = {tuple(line.split(" ", 2)) for line in (output or "").splitlines(keepends=True) if line.endswith("\n")}
        words = {tuple(word.rstrip("\n") for word in line) for line in whole}
        if remember:
            self.acknowledged |= words
        return words


def _facts(path):
    with closing(open_reader(path)) as db:
        tables = ("event_log", "attempt_log", "decision_log", "erasure_log", "seal_log")
        return {table: db.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def _facts_in(export):
    words = {"event_log": "event", "attempt_log": "attempt", "decision_log": "decision", "erasure_log": "erasure"}
    counted = Counter(line.split('"', 4)[3] for line in export.read_text().splitlines()[1:])
    return {table: counted[word] for table, word in (words | {"seal_log": "seal"}).items()}


def run(seconds, rng, *, most=10**9):
    """Round after round on one store, and a new one when it has grown."""
    total, end = Counter({"kills": 0, "facts acknowledged": 0, "facts lost": 0}), time.monotonic() + seconds
    while time.monotonic() < end and total["kills"] < most:
        with tempfile.TemporaryDirectory() as name:
            ground = Ground(Path(name), rng)
            Store.open(ground.path).close()
            looked = 0
            while time.monotonic() < end and ground.kills < min(150, most):
                ground.round()
                if ground.kills - looked >= _LOOK_EVERY:
                    ground.fresh()
                    _, lost = ground.look()
                    assert lost == 0, lost
                    looked = ground.kills
            facts, lost = ground.look()
            assert ground.acknowledged or ground.kills < _LOOK_EVERY  # or the kills would prove nothing
            total += Counter({"kills": ground.kills, "facts acknowledged": facts, "facts lost": lost})
    return total
