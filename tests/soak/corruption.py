"""Random damage to a store: a query gives the true answer or an error, or `verify` finds the damage; nothing crashes.

The questions are asked in a process of their own, which detects a crash or a hang of SQLite.
"""

import contextlib
import faulthandler
import io
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from failaware import FailawareError, Handlers, Inspector, Permanent, Retry, Store, StoreError, Worker
from failaware.cli.main import main
from failaware.ingest.lines import ingest_lines
from failaware.ledger.export import Export
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.rules import default_policy
from tests import processes
from tests.conftest import HOUR, START, Clock
from tui import documents, event_texts, preview

EVENTS = 40
NOW = START + 30 * HOUR
THEN = START + 7 * HOUR
HANG_S = 60
MEMORY = 1 << 31
_REPORTS = (
    "health", "severity", "clusters", "events", "timeline", "recovered", "due", "event 3", "attempt 4",
    "explain event/3", "diff 20h", "health --as-of 25h", "clusters --as-of 25h", "events status:DEAD", "verify",
    "export", "severity --json", "events --json", "clusters --json", "event 3 --json",
)  # fmt: skip


def make(path):
    """A sealed store with every kind of fact; its clock is at NOW."""
    clock = Clock()
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=3, base=600, jitter=0))
    def handle(event):
        if event.payload["n"] % 4 == 1:
            raise Permanent(f"order {event.payload['n']} was refused")
        if event.payload["n"] % 4 == 2:
            raise TimeoutError(f"no answer after {event.payload['n']} s")
        if event.payload["n"] % 4 == 3 and event.attempt_no == 1:
            raise ConnectionError("10.0.0.3 refused")

    with Store.open(path, synchronous="NORMAL", clock=clock) as store:
        worker = Worker(store, handlers)
        for n in range(EVENTS):
            note = {"n": n, "note": f"ein Stück Text № {n} " * (n % 5)}
            store.record(("order.import", "mail")[n % 3 == 0], note, key=f"k:{n}" if n % 2 else None, source="shop")
            clock.advance(600)
            if n % 5 == 4:
                worker.run(until_idle=True, patience=0)
        lines = [b'{"type": "a", "error": {"type": "E", "message": "m"}, "payload": {"n": 0}}', b"{", b"\xff"]
        ingest_lines(store.session, lines, origin="file")
        store.dismiss([2], because="seen")
        store.requeue([6], because="again")
        store.erase([10], because="asked to")
        seal_all(store.session, clock())
        store.rebuild()


def questions(clusters):
    """Every question of the reports and of the inspector, by name."""
    cluster = clusters[0]
    return {
        "health": lambda i: i.health(),
        "severity": lambda i: i.severity(),
        "clusters": lambda i: i.clusters(),
        "events": lambda i: i.events(limit=100),
        "dead": lambda i: (i.events("status:DEAD since:28h"), i.count_events("status:DEAD")),
        "answered": lambda i: (i.events("error:answer type:mail"), i.events("key:k:*"), i.events(f"cluster:{cluster}")),
        "timeline": lambda i: i.patterns.timeline(),
        "event": lambda i: [i.event(n) for n in (1, 2, 3, 6, 10)],
        "rejects": lambda i: i.rejects(),
        "attempt": lambda i: [i.attempt(n) for n in range(1, 30)],
        "explain": lambda i: [i.explain(f"cluster/{number}") for number in clusters],
        "why": lambda i: i.explain("event/3", facts=True),
        "what if": lambda i: i.what_if(default_policy()._replace(multiple_events=9)),
        "recovered": lambda i: i.patterns.recovered(),
        "due": lambda i: i.patterns.calendar(),
        "impact": lambda i: [i.patterns.impact(number) for number in clusters],
        "runs": lambda i: [i.patterns.runs(n) for n in (2, 3)],
        "transitions": lambda i: i.patterns.transitions(cluster),
        "hours": lambda i: i.patterns.hours(),
        "past": _past,
        "screens": _screens,
    }


def _past(inspector):
    with inspector.as_of(THEN) as then:
        answers = [then.health(), then.severity(), then.clusters(), then.events(limit=100)]
        return [*answers, then.diff(NOW)]


def _screens(inspector):
    """What the inspector makes of the answers, to the last line."""
    clusters = inspector.clusters()
    event = inspector.event(3)
    lines = [line for attempt in event.attempts for line in event_texts.failure(event, attempt, NOW, fold=True)]
    lines += event_texts.history(event, inspector.patterns.runs(3), NOW) + documents.payload(event.event_payload)
    for worst in clusters[:1]:  # damage may have left none, which is a wrong answer like others
        lines += documents.why(inspector.explain(f"cluster/{worst.cluster_id}"), worst)
        lines += preview.lines(preview.read(inspector, worst.cluster_id))
    return [line.text for line in lines]


def damage(content, rng):
    """A copy with some damage, and what it is."""
    data = bytearray(content)
    kind = rng.choice(("bit", "bit", "byte", "bytes", "sector", "page", "cut", "header"))
    at = rng.randrange(len(data))
    if kind == "bit":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        data[at] = rng.randrange(256)
    elif kind == "bytes":
        for _ in range(rng.randrange(2, 40)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == "sector":
        start = at // 512 * 512
        data[start : start + 512] = rng.choice((bytes(512), rng.randbytes(512)))
    elif kind == "page":
        one, other = (rng.randrange(len(data) // 4096) * 4096 for _ in range(2))
        data[one : one + 4096] = data[other : other + 4096]
    elif kind == "cut":
        del data[at:]
    else:
        at = rng.randrange(108)
        data[at] = rng.randrange(256)
    return bytes(data), f"{kind} at {at}"


class Wrong(AssertionError):
    """An answer that is neither true nor an error, and a store that verifies."""


class Trial:
    """One store, damaged over and over; what each question truly answers is known."""

    def __init__(self, folder):
        self.path = Path(folder) / "store.db"
        make(self.path)
        self.content = self.path.read_bytes()
        with self._open() as inspector:
            self.questions = questions([cluster.cluster_id for cluster in inspector.clusters()])
            self.true = {name: ask(inspector) for name, ask in self.questions.items()}
            self.lines = list(Export(inspector.db).lines())
        self.reports = {report: self._report(report) for report in _REPORTS}
        assert not verify(self.path).findings

    def _open(self):
        return Inspector.open(self.path, clock=lambda: NOW)

    def run(self, rng):
        """Damage the store once and ask everything; counts what came of it."""
        data, what = damage(self.content, rng)
        self.path.write_bytes(data)
        counts, wrong = Counter(trials=1), []
        if data == self.content:
            return counts
        for name in self.questions:
            try:
                with self._open() as inspector:
                    answer = self.questions[name](inspector)
            except StoreError:
                counts["reported"] += 1
                continue
            except FailawareError as error:
                wrong.append(f"{name}: {error}")
                continue
            if answer == self.true[name]:
                counts["true"] += 1
            else:
                wrong.append(name)
        report = rng.choice(_REPORTS)
        if (answered := self._report(report)) != self.reports[report] and answered[0] == self.reports[report][0]:
            wrong.append(report)
        counts["exported"], changed = self._export()
        answered = self._verify()
        counts["verified"] += not answered
        if (wrong or changed) and not answered:
            raise Wrong(f"{what}: {wrong or changed[:2]}")
        counts["wrong, and found by verify"] += len(wrong)
        return counts

    def _report(self, words):
        """A report's exit status and, where it does not tell the time, what it printed."""
        err = io.StringIO()
        with contextlib.redirect_stderr(err), printed(self.path.with_name("out")) as out:
            status = main(["--db", str(self.path), *words.split()])
        assert status in (0, 1, 2), words
        assert err.getvalue().count("\n") == (status == 2 or (words == "export" and status == 1)), err.getvalue()
        assert not err.getvalue() or err.getvalue().startswith("failaware: "), err.getvalue()
        return status, out.read_bytes() if words.endswith("--json") else b""

    def _export(self):
        """How many lines were saved, and those that were never written so."""
        try:
            with self._open() as inspector:
                saved = list(Export(inspector.db).lines())
        except StoreError:
            return 0, []
        return len(saved), [line for line in saved[:-1] if line not in self.lines]

    def _verify(self):
        try:
            return verify(self.path).findings
        except StoreError as error:
            return [error]


@contextlib.contextmanager
def printed(path):
    """Standard output goes to a file meanwhile."""
    with path.open("w", encoding="utf-8", newline="") as file, contextlib.redirect_stdout(file):
        yield path


def trials(seed, *, most=sys.maxsize, seconds=float("inf")):
    """Run trials in this process; each is a function of the seed and its number."""
    until = time.monotonic() + seconds
    counts = Counter()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(folder)
        for number in range(most):
            if time.monotonic() > until:
                break
            print(f"trial {seed}:{number}", file=sys.stderr, flush=True)
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            counts += trial.run(random.Random(f"{seed}:{number}"))
            faulthandler.cancel_dump_traceback_later()
    return counts


def in_a_process(seed, **limits):
    """`trials` in a process with bounded memory; its counts. It dies of what must not happen."""
    program = (
        "import faulthandler, json, resource, sys; faulthandler.enable(); "
        f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY})); "
        "from tests.soak.corruption import trials; "
        "print(json.dumps(trials(sys.argv[1], **json.loads(sys.argv[2]))))"
    )
    command = [sys.executable, "-c", program, str(seed), json.dumps(limits)]
    done = processes.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    return Counter(json.loads(done.stdout))


def run(seconds, rng):
    """Damage stores for so long; returns how many trials, and what came of the questions."""
    until = time.monotonic() + seconds
    counts = Counter()
    while (left := until - time.monotonic()) > 0:
        counts += in_a_process(rng.randrange(2**32), seconds=min(left, 60))
    return counts
