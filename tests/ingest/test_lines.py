"""JSON Lines: every good line is an event, every bad one a reject with its reason, and all are counted."""

import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from failaware.ingest.chunk import Ingested
from failaware.ingest.lines import ingest_lines
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized


def ingest(store, *lines):
    data = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    return ingest_lines(store.session, io.BytesIO(data), origin="test")


def test_the_payload_is_kept_as_it_was_written(store):
    ingest(store, '{"type": "a", "payload": {"n": 1.50, "n": 2,  "big": 123456789012345678901234567890}}')
    assert query(store, "SELECT event_payload FROM event_log") == [
        ('{"n": 1.50, "n": 2,  "big": 123456789012345678901234567890}',)
    ]


@pytest.mark.tour
def test_all_fields_are_taken(store):
    line = {"type": "a.b", "payload": [1], "key": "k", "source": "s", "occurred_at": "2026-11-20T10:00:00+01:00"}
    done = ingest(store, json.dumps(line), json.dumps(line))
    assert (done.recorded, done.known, done.rejected) == (1, 1, 0)
    assert query(store, "SELECT event_type, event_payload, source, occurred_at FROM event_log") == [
        ("a.b", "[1]", "s", int(datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp()) * 1_000_000)
    ]


@pytest.mark.parametrize(
    "given",
    [
        *("2026-11-20T09:00:00z", "2026-11-20t09:00:00Z", "2026-11-20T14:30:00.000000000+05:30"),
        *(1_795_165_200 * 10**unit for unit in (0, 3, 6, 9)),
        *(float(1_795_165_200 * 10**unit) for unit in (0, 3, 6, 9)),
    ],
)
def test_a_time_may_be_written_in_any_case_and_counted_in_any_unit(store, given):
    ingest(store, json.dumps({"type": "a", "occurred_at": given}))
    assert query(store, "SELECT occurred_at FROM event_log") == [(1_795_165_200_000_000,)]


def test_a_file_of_a_byte_order_mark_only_is_empty(store):
    assert ingest(store, "\ufeff") == Ingested()


def test_a_part_in_another_encoding_is_one_reject(store):
    other = "".join(f'{{"type": "a", "payload": {n}}}\n' for n in range(50))
    done = ingest(store, '{"type": "a"}', b"\0" + other.encode("utf-16-be"), '{"type": "b"}', "nonsense")
    assert (done.recorded, done.rejected) == (2, 2)
    latin = [
        f'{{"type": "café {n}"}}'.encode("latin-1") for n in range(3)
    ]  # a damaged character makes no other encoding
    assert ingest(store, *latin).rejected == 3


@pytest.mark.tour
def test_a_failure_observed_elsewhere_is_a_dead_attempt(store, inspector):
    error = {"type": "Timeout", "message": "took 5 s", "traceback": "Traceback …"}
    ingest(
        store,
        json.dumps({"type": "a", "error": error, "key": "k"}),
        json.dumps({"type": "a", "error": error, "key": "k"}),
    )
    event = inspector.event(1)
    assert event.sync_status == "DEAD"
    (attempt,) = event.attempts
    assert (attempt.error_type, attempt.error_message, attempt.traceback) == ("Timeout", "took 5 s", "Traceback …")
    assert_rebuild_changes_nothing(store)


def chain(*sentences):
    block = 'Traceback (most recent call last):\n  File "a.py", line 1, in a\n    go()\n'
    return "".join(block + (sentence if sentence.startswith("\n") else sentence + "\n") for sentence in sentences)


CAUSED = "\n\nThe above exception was the direct cause of the following exception:\n\n"
DURING = "\n\nDuring handling of the above exception, another exception occurred:\n\n"


@pytest.mark.parametrize(
    ("traceback", "cause"),
    [
        (chain("A: a" + CAUSED, "B: b" + CAUSED, "C: c"), "A: a"),
        (chain("A: a" + DURING, "B: b" + CAUSED, "C: c"), "B: b"),
        (chain("A: a" + DURING, "C: c"), None),
        (chain("C: c"), None),
        (chain(*["A: a" + CAUSED] * 3_000, "C: c"), "A: a"),
        ("C: c\n\tat x\nCaused by: B: b\n\tat y\nCaused by: a.A$1: a\n", "a.A$1: a"),
        ("", None),
    ],
)
def test_the_root_cause_is_read_out_of_a_traceback(store, inspector, traceback, cause):
    ingest(store, json.dumps({"type": "a", "error": {"type": "C", "message": "c", "traceback": traceback}}))
    assert inspector.event(1).attempts[0].cause == cause


@pytest.mark.tour
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[1]", "one JSON object"),
        ("{", "a name in quotes is missing"),
        ('{"type": "a"', "',' or '}' is missing"),
        ('{"type" "a"}', "':' is missing"),
        ('{"type": }', "Expecting value"),
        ('{"type": "a"} x', "extra data after"),
        ('{"payload": 1}', "'type' is missing"),
        ('{"type": 7}', "event type must be a string"),
        ('{"type": ""}', "1 to 512"),
        ('{"type": "a", "type": "b"}', "occurs twice"),
        (
            '{"type": "a", "typo": 1}',
            "no field 'typo'; fields are type, payload, key, source, occurred_at, fingerprint, error",
        ),
        ('{"type": "a", "payload": NaN}', "NaN is not JSON"),
        ('{"type": "a", "occurred_at": "yesterday"}', "ISO 8601"),
        ('{"type": "a", "occurred_at": "2026-11-20T10:00:00"}', "time zone"),
        ('{"type": "a", "error": 5}', "'error' must be"),
        ('{"type": "a", "error": {"type": 1}}', "must be strings"),
        ('{"type": "a", "key": 5}', "key must be a string"),
        (b'{"type": "\xff"}', "not UTF-8"),
        ('{"type": "a", "payload": "' + "x" * 1_100_000 + '"}', "the limit is"),
        ('{"type": "a", "payload": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"type": "a", "payload": "tab\there"}', "Invalid control character"),
    ],
)
def test_a_bad_line_is_kept_with_the_reason_and_the_good_ones_are_recorded(store, line, says):
    done = ingest(store, '{"type": "good"}', line, "", "  ", '{"type": "good"}')
    assert (done.recorded, done.known, done.rejected) == (2, 0, 1)
    ((origin, line_no, raw, error),) = query(store, "SELECT origin, line_no, raw, error FROM reject_log")
    assert (origin, line_no) == ("test", 2)
    assert says in error
    assert raw[:9] == (line if isinstance(line, str) else line.decode("utf-8", "backslashreplace"))[:9]


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        ("disk full", ("Error", "disk full")),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1, in b\nOSError: disk full',
            ("OSError", "disk full"),
        ),
    ],
)
def test_an_error_may_be_a_text(store, inspector, error, failed):
    assert ingest(store, json.dumps({"type": "backup", "error": error})).recorded == 1
    event = inspector.event(1)
    assert (event.sync_status, event.attempts[0].error_type, event.attempts[0].error_message) == ("DEAD", *failed)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(store):
    assert ingest(store, b'\xef\xbb\xbf{"type": "a"}\r', '{"type": "b"}\r').recorded == 2


def test_secrets_are_masked_in_events_and_rejects(store):
    secret = "tr0ub4dor"
    ingest(
        store, json.dumps({"type": "a", "payload": {"password": secret}}), '{"typ": 1, "password": "' + secret + '"}'
    )
    everything = query(store, "SELECT event_payload FROM event_log UNION ALL SELECT raw FROM reject_log")
    assert secret not in repr(everything)
    assert "[masked]" in everything[0][0]
    assert "[masked]" in everything[1][0]


@pytest.mark.tour
@given(st.lists(st.binary(max_size=60).filter(lambda line: b"\n" not in line), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=sized(20, 80), deadline=None)
@example([b"\x01", b"\x00"])
def test_any_bytes_are_counted(store, lines):
    done = ingest(store, b'{"type": "a"}', *lines)  # first, since an array that begins the file may take many lines
    kept = [
        line for line in lines if line.removeprefix(b"\xef\xbb\xbf").strip()
    ]  # files that are joined have marks within
    assert done.recorded + done.known + done.rejected + done.ignored + done.skipped == 1 + len(kept)


@pytest.mark.parametrize("first", [b"[", b"{"])
@given(
    lines=st.lists(
        st.sampled_from([b"[", b"]", b"{", b"}", b'"', b",", b'{"type": "a"}', b'{"type": "b"},']), max_size=9
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=sized(37, 150), deadline=None)
def test_of_what_begins_a_file_on_many_lines_nothing_is_passed_over_in_silence(store, first, lines):
    done = ingest(store, first, *lines)
    whole = sum(b"type" in line for line in lines)
    assert done.recorded <= whole
    assert done.rejected or done.recorded == whole
