"""What is recorded of other producers: of samples that they wrote, or that were written after their schema."""

import json
import time
import tomllib
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from docs import formats
from failaware.ingest.chunk import Collected
from failaware.ingest.expressions import compiled, is_true
from failaware.ingest.files import ingest_file
from failaware.ingest.format import _SETTINGS, known_formats
from failaware.ingest.functions import FUNCTIONS
from failaware.ingest.lines import collect_lines, ingest_lines
from failaware.ingest.reader import LineReader, ReadingOptions
from failaware.ingest.recognize import Recognizer
from failaware.ingest.stream import Input, Line
from tests.conftest import query

INPUTS = Path(__file__).parent.parent.parent / "sample_data" / "inputs"


class Expected(NamedTuple):
    """One event, as in expected_formats.toml."""

    type: str
    error_type: str
    message: str
    key: str
    time: str = ""
    traceback: str | None = None
    cause: str | None = None


EXPECTED = {
    name: [Expected(**event) for event in events]
    for name, events in tomllib.loads((Path(__file__).parent / "expected_formats.toml").read_text()).items()
}


def test_the_page_lists_the_formats_as_they_are():
    """`python -m docs.formats` writes it."""
    text = formats.PAGE.read_text(encoding="utf-8")
    assert formats.page() == text
    assert [name for name in FUNCTIONS if f"| `{name}(" not in text] == []
    assert [name for name in _SETTINGS if f"`{name}`" not in text and f"`[{name}]`" not in text] == []


def moment(at):
    return int(datetime.fromisoformat(at if "T" in at else f"2026-11-29T11:{at}+00:00").timestamp() * 1_000_000 + 0.5)


def ingest(store, path, **options):
    with path.open("rb", buffering=0) as file:
        return ingest_file(store.session, Input(file), origin=path.name, **options)


EVENTS = (
    "SELECT e.event_type, a.error_type, a.error_message, t.text, e.occurred_at, k.key, a.cause "
    "FROM event_log e JOIN attempt_log a USING (event_id) LEFT JOIN traceback_log t ON t.traceback_id = a.traceback "
    "LEFT JOIN event_key k USING (event_id) ORDER BY e.event_id"
)


def differences(row, expected):
    """The fields of an event that are not as expected."""
    event_type, error_type, message, traceback, at, key, cause = row
    begins, _, _ = expected.key.partition("…")
    same = {
        "type": event_type == expected.type,
        "error.type": error_type == expected.error_type,
        "message": message == expected.message,
        "traceback": (traceback is None) == (expected.traceback is None)
        and (expected.traceback or "").strip() in (traceback or "").replace("⟨error⟩", f"{error_type}: {message}"),
        "occurred_at": not expected.time or abs(at - moment(expected.time)) <= 1,
        "key": key is not None and (key.startswith(begins) if "…" in expected.key else key == expected.key),
        "cause": cause == expected.cause,
    }
    return [name for name, is_same in same.items() if not is_same]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_producer_is_recognized_and_its_failures_recorded(store, name):
    done = ingest(store, INPUTS / name)
    rows = query(store, EVENTS)
    assert (done.recorded, done.rejected) == (len(EXPECTED[name]), 0), (done, [row[:3] for row in rows])
    wrong = [(row, differences(row, one)) for row, one in zip(rows, EXPECTED[name], strict=True)]
    assert [pair for pair in wrong if pair[1]] == []


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.thinned
def test_a_second_read_adds_nothing(store, name):
    first, second = ingest(store, INPUTS / name), ingest(store, INPUTS / name)
    assert (second.recorded, second.known, second.rejected) == (0, first.recorded, 0)


@pytest.mark.parametrize("known", known_formats(), ids=lambda known: known.name)
def test_the_expressions_and_patterns_of_a_format_are_valid(known):
    assert known.checked() is known


LINES = [line for name in EXPECTED for line in (INPUTS / name).read_text(encoding="utf-8").splitlines()]


def test_each_line_of_the_samples_has_one_format():
    """Recognition must not depend on the order of the formats or of the lines."""
    for line in LINES:
        with suppress(ValueError):
            values = json.loads(line)
            fits = [each for each in known_formats() if each.keys and each.keys <= values.keys()]
            fits = [each for each in fits if is_true(compiled(each.expressions.get("when", "`true`"))(values))]
            most = max(len(each.keys) for each in fits)
            assert len([each for each in fits if len(each.keys) == most]) == 1, (line, [each.name for each in fits])
            continue
        fits = [each.name for each in known_formats() if any(pattern.match(line) for pattern in each.patterns)]
        assert len(fits) <= 1, (line, fits)


@pytest.mark.parametrize(
    ("line", "event_type", "message"),
    [
        ("[2026-11-29 10:00:00 +0000] [17] [ERROR] Error handling /pay", "python", "Error handling /pay"),
        ("ERROR:    Exception in ASGI application", "python", "Exception in ASGI application"),
        ("ERROR:shop.orders:no stock", "shop.orders", "no stock"),
        ("[2026-11-29 10:00:02,123: ERROR/ForkPoolWorker-1] Task failed", "python", "Task failed"),
        ("[2026-11-29T10:00:03.123+0000] {taskinstance.py:1935} ERROR - Task failed", "python", "Task failed"),
        ("2026-11-29T10:00:04.12Z [error    ] payment failed     [shop.pay] order=17", "shop.pay", "payment failed"),
        ("[2026-11-29 10:00:05,123] ERROR in app: Exception on / [GET]", "app", "Exception on / [GET]"),
        ("2026-11-29T10:00:06.113+01:00 ERROR 17 --- [shop] [nio-1] c.a.Shop     : no stock", "c.a.Shop", "no stock"),
        ("2026-11-29 10:00:07,113 [main] ERROR com.acme.Shop - failed", "com.acme.Shop", "failed"),
        ("ERROR 2026-11-29 10:00:08,403 views 4857 140319 no stock", "views", "no stock"),
        ("[29/Nov/2026 10:00:09] ERROR [django.request:241] Internal Server Error: /x", "django.request",
         "Internal Server Error: /x"),
        ("2026/11/29 10:00:10 ERROR no stock order=17", "python", "no stock order=17"),
        ("2026-11-29 10:00:11,123 | ERROR | shop | no stock", "shop", "no stock"),
        ("2026-11-29 10:00:12,123 ERROR [shop] [app.py:17] - no stock", "shop", "no stock"),
        ("2026-11-29 10:00:13,123 shop ERROR no stock", "shop", "no stock"),
        ("2026-11-29 10:00:14.123 | ERROR    | shop.cart:pay:17 - no stock", "shop.cart", "no stock"),
    ],
)  # fmt: skip
def test_the_layouts_of_python_are_read(store, line, event_type, message):
    for first in ("", LINES[-1], "2026/11/29 10:00:10 [error] 1#1: nginx"):
        reader, collected = LineReader(), Collected(store.session.recorder, store.session.clock, "file")
        for number, each in enumerate((first, line), start=1):
            reader.take(collected, Line(number, each.encode(), len(each)))
        reader.flush(collected)
        event = collected.events[-1]
        assert (event.event.event_type, event.attempts[0].failure.error_message) == (event_type, message)


def test_a_line_that_resembles_a_format_is_a_reject_that_says_so(store):
    done = ingest_lines(store.session, [b'{"time": 1, "pid": 1, "hostname": "x"}', b"<34>2 x"], origin="x")
    assert done.rejected == 2
    assert "it looks like pino (Node.js), but has no 'level'" in done.reasons[0]
    assert "it looks like syslog" in done.reasons[1]


def test_equal_failures_of_one_moment_are_two_and_a_second_read_adds_nothing(store, tmp_path):
    line = '{"level":50,"time":1795950785329,"pid":1,"hostname":"h","name":"n","msg":"no stock","order":%d}\n'
    (tmp_path / "log").write_text(line % 1 + line % 2 + "2026/11/29 10:00:00 [error] 1#1: no stock\n" * 2)
    first, second = ingest(store, tmp_path / "log"), ingest(store, tmp_path / "log")
    assert (first.recorded, second.recorded, second.known) == (4, 0, 4)


@pytest.mark.parametrize("about", ['"pid":1,"hostname":"h",', ""])
def test_a_time_of_pino_under_another_name_is_read(store, tmp_path, about):
    (tmp_path / "log").write_text('{"level":50,' + about + '"timestamp":"2026-11-29T10:00:00Z","msg":"no stock"}')
    ingest(store, tmp_path / "log")
    assert query(store, "SELECT occurred_at FROM event_log") == [(1_795_946_400_000_000,)]


@pytest.mark.large
def test_an_odd_record_is_recorded_or_a_reject_but_never_an_error_of_ours(store):
    odd = (None, True, 1.5, "", [], {}, [{}], {"a": 1}, "2026", "x" * 70_000, "\x00\x1b")
    lines = [
        json.dumps({**dict.fromkeys(each.keys, "error"), "level": "error", key: value}).encode()
        for each in known_formats()
        for key in (*each.keys, "level", "err", "exception", "record", "stack")
        for value in odd
    ]
    reader = LineReader(ReadingOptions(keep_all=True))
    collected = Collected(store.session.recorder, store.session.clock, "file")
    for number, line in enumerate(lines, start=1):
        reader.take(collected, Line(number, line, len(line)))
    reader.flush(collected)
    assert [reject.error for reject in collected.rejects if "bug in failaware" in reject.error] == []
    store.session.ingest(collected.events, [], refuse=lambda position, error: pytest.fail(str(error)))


VARIANTS = {
    name: variant
    for file in ("variants.toml", "more_variants.toml")
    for name, variant in tomllib.loads((Path(__file__).parent / file).read_text(encoding="utf-8")).items()
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.thinned
def test_rarer_forms_are_read_too(store, tmp_path, name):
    (tmp_path / name).write_text(VARIANTS[name]["text"], encoding="utf-8")
    done = ingest(store, tmp_path / name)
    rows = query(store, EVENTS)
    assert [[row[0], row[1], row[2], row[6] or ""] for row in rows] == VARIANTS[name]["events"]
    assert (done.rejected, ingest(store, tmp_path / name).recorded) == (0, 0)


@pytest.mark.thinned
@pytest.mark.parametrize(
    "text",
    [
        *("panic: x\n" * 9_000, "Uncaught A" * 9_000 + "\n", "PHP Fatal error:  Uncaught A" * 9_000 + "\n"),
        *("AError: " * 9_000 + "\n at x", "A.a" * 50_000 + "\n at x", "a:1:in `" * 9_000 + "\n", "A" * 200_000 + "\n"),
        "2026/11/29 12:00:00 [error] 1#1: " + ', request: "x", upstream: "y' * 9_000,
        "[Sun Nov 29 12:00:00 2026] [a:error] (1)" + "a: " * 9_000 + ", referer: ",
        *("<1>1 a b c d e " + '["' * 9_000, "2026-11-29 12:00:00 ERROR " + "a." * 9_000, "::error a" * 9_000),
        *("2026-11-29 12:00:00 [error] " + "a   [b" * 9_000, "2026-11-29 12:00:00" + " :|-" * 9_000),
    ],
)
def test_no_text_takes_long(store, text):
    """Each of them took minutes with a pattern that was not bounded."""
    began = time.process_time()
    raw = text.encode()
    reader, collected = LineReader(), Collected(store.session.recorder, store.session.clock, "file")
    for part in (json.dumps({"level": "error", "message": text}).encode(), *raw.splitlines()[:300]):
        reader.take(collected, Line(1, part, len(part)))
    reader.flush(collected)
    assert time.process_time() - began < 30


def test_every_format_has_a_sample(store, monkeypatch):
    used = set()
    of_object, of_line = Recognizer.of_object, Recognizer.of_line

    def object_format(recognizer, values):
        matched = of_object(recognizer, values)
        used.add(matched and matched.name)
        return matched

    def line_format(recognizer, line, **where):
        match = of_line(recognizer, line, **where)
        used.add(match and match.format.name)
        return match

    monkeypatch.setattr(Recognizer, "of_object", object_format)
    monkeypatch.setattr(Recognizer, "of_line", line_format)
    for name in EXPECTED:
        collect_lines(Collected(store.session.recorder, store.session.clock, name), (INPUTS / name).read_bytes())
    assert [each.name for each in known_formats() if each.name not in used | {"text"}] == []
