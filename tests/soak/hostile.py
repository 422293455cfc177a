"""Data of any bytes, by every way in: taken as data or refused in words; and every display of it is harmless."""

import contextlib
import io
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from failaware import FailawareError, Inspector, Store
from failaware.cli.main import main
from failaware.ingest.lines import ingest_lines
from failaware.ledger.export import Export
from failaware.ledger.restore import restore_export
from failaware.ledger.verify import verify
from failaware.text import visible
from tests.conftest import START
from tests.soak.corruption import printed
from tui import documents, event_texts, preview

NASTY = (
    "\x1b[31mred", "\x1b]52;c;aGk=\x07", "\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b2J", "\x1bP+q544e\x1b\\",
    "\u202eevil", "\u2066x\u2069", "\u200b", "\ufeff", "\U000e0041",
    "[bold red]x[/]", "[@click=app.bell]x[/]", "[/]", "\\[",
    "\x00", "\ud800", "\udfff\ud800", "\r", "\n", "\r\n", "\x85", "\u2028", "\t", "\x7f", "\b\b\b",
    "'; DROP TABLE event_log; --", '"', "\\", "%s", "{0}", "{{ default }}", ":x", "?1", "⟨error⟩",
    "e\u0301" * 40, "語" * 30, "A" * 70_000, "<?xml version='1.0'?>", "<!DOCTYPE x>", "NaN", "1e999", "9" * 5_000,
)  # fmt: skip
HUGE = (2**63, -(2**70), 10**4_000, 1e308, float("nan"), float("inf"), -0.0, True, None)
LINES = (
    {"type": "a.b", "payload": {"n": 1}, "key": "k", "source": "s", "occurred_at": "2026-11-20T10:00:00Z"},
    {"type": "a", "error": {"type": "E", "message": "m", "traceback": 'Traceback\n  File "x.py", line 1, in f\nE: m'}},
    {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "data": {"a": 1}, "time": "2026-11-20T10:00:00Z"},
    {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1", "severityNumber": 17, "body": {}}]}]}]},
    [{"type": "a"}, {"type": "b", "fingerprint": "f"}],
)
REPORTS = (
    "health", "severity", "clusters", "events", "timeline", "recovered", "due", "event 1", "event 2", "attempt 1",
    "explain event/1", "diff 1h", "export", "health --as-of 1h", "clusters --as-of 1h",
)  # fmt: skip
JSON_REPORTS = ("health", "severity", "clusters", "events", "timeline", "event 1", "explain event/1", "attempt 1")


def text(rng):
    """Some text, mostly hostile."""
    return "".join(
        rng.choice(NASTY) if rng.random() < 0.7 else chr(rng.randrange(0x11000)) for _ in range(rng.randrange(5))
    )


def value(rng, depth=3):
    """Anything that a caller may pass as a payload."""
    kind = rng.randrange(8 if depth else 4)
    if kind < 2:
        return text(rng)
    if kind == 2:
        return rng.choice(HUGE)
    if kind == 3:
        return rng.choice((b"\xff", object, {1}, {2: 3}, 1j, rng.randrange(2**80)))
    if kind == 4:
        deep = []
        for _ in range(rng.choice((50, 199, 201, 10_000))):
            deep = [deep]
        return deep
    if kind < 6:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {text(rng): value(rng, depth - 1) for _ in range(rng.randrange(4))}


def line(rng, examples):
    """A line such as others write, with some of its bytes changed."""
    data = bytearray(rng.choice(examples))
    for _ in range(rng.choice((0, 1, 1, 2, 8))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at : at + 1] = rng.randbytes(1)
        elif kind == 1:
            data[at:at] = json.dumps(text(rng)).encode()
        elif kind == 2:
            data[at:at] = text(rng).encode("utf-8", "surrogatepass")
        else:
            data[at:at] = rng.choice(
                (b"[" * 10_000, b'{"a":' * 10_000, b"NaN", b"9" * 5_000, b'"type":"x",', b"\xff\xfe")
            )
    return bytes(data).replace(b"\n", b" ") + b"\n"


def offered(offer, counts):
    """Offer something: it is taken, or refused in one of our own errors."""
    try:
        offer()
    except FailawareError:
        counts["refused"] += 1
    else:
        counts["taken"] += 1


def fill(store, rng, counts):
    """Put hostile data in by every way."""
    store.record("first", {"n": 1})

    def fail():
        with contextlib.suppress(_Failed), store.attempt(text(rng) or "x", value(rng), key=text(rng) or None):
            raise type(text(rng).replace("\0", "").encode("utf-8", "replace").decode() or "E", (_Failed,), {})(
                text(rng)
            )

    for _ in range(4):
        offered(lambda: store.record(text(rng), value(rng), key=text(rng), source=text(rng)), counts)
        offered(lambda: store.record("plain", value(rng), fingerprint=text(rng) or None), counts)
        offered(fail, counts)
    with contextlib.suppress(_Failed), store.attempt("known"):
        raise _Failed(text(rng))
    examples = [json.dumps(example).encode() for example in LINES]
    examples.append(
        json.dumps({"type": "a", "error": {"type": text(rng), "message": text(rng), "traceback": text(rng)}}).encode()
    )
    lines = [line(rng, examples) for _ in range(12)]
    done = ingest_lines(store.session, lines, origin=text(rng))
    counts["taken"] += done.recorded + done.known
    counts["refused"] += done.rejected
    offered(lambda: store.dismiss([1], because=text(rng), by=text(rng) or None), counts)


class _Failed(Exception):
    """What the caller's own code raises."""


def harmless(shown):
    """Nothing in it is obeyed by a terminal."""
    for shown_line in shown.split("\n"):
        assert visible(shown_line) == shown_line, ascii(shown_line[:300])


def trial(rng, folder):
    """One store full of it, shown in every way; counts what came of it."""
    path, counts = Path(folder) / "store.db", Counter(trials=1)
    with Store.open(path, synchronous="NORMAL") as store:
        fill(store, rng, counts)
    with Inspector.open(path) as inspector:
        exported = [saved.encode() + b"\n" for saved in Export(inspector.db).lines()]
        _screens(inspector)
    for report in [*REPORTS, *(f"{report} --json" for report in JSON_REPORTS)]:
        out, shown = _report(path, report)
        if report.endswith("--json") and shown == 0:
            json.loads(out)
        if report != "export":
            harmless(out)
        counts["reports"] += 1
    assert not verify(path).findings
    with Store.open(Path(folder) / "again.db", synchronous="NORMAL") as again:
        assert restore_export(again.session, exported, origin="export").added
    with Store.open(Path(folder) / "mutated.db", synchronous="NORMAL", clock=lambda: START) as other:
        changed = [line(rng, [saved]) if rng.random() < 0.1 else saved for saved in exported]
        offered(lambda: restore_export(other.session, changed, origin="export"), counts)
    return counts


def _screens(inspector):
    now = inspector.now()
    for cluster in inspector.clusters():
        for shown in [
            *preview.lines(preview.read(inspector, cluster.cluster_id)),
            *documents.why(inspector.explain(f"cluster/{cluster.cluster_id}"), cluster),
        ]:
            harmless(str(getattr(shown, "text", shown)))
    for summary in inspector.events(limit=100):
        event = inspector.event(summary.event_id)
        lines = documents.payload(event.event_payload)
        lines += event_texts.history(event, inspector.patterns.runs(event.event_id), now)
        lines += [shown for attempt in event.attempts for shown in event_texts.failure(event, attempt, now, fold=True)]
        for shown in lines:
            harmless(shown.text)


def _report(path, report):
    err = io.StringIO()
    with contextlib.redirect_stderr(err), printed(path.with_name("out")) as out:
        status = main(["--db", str(path), *report.split()])
    assert status in (0, 2), (report, err.getvalue())
    assert err.getvalue().count("\n") == (status == 2), err.getvalue()
    harmless(err.getvalue())
    return out.read_text(encoding="utf-8"), status


def run(seconds, rng):
    """Offer hostile data for so long; returns how much was taken, and how much refused."""
    until, counts = time.monotonic() + seconds, Counter()
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder:
            counts += trial(rng, folder)
    return counts
