"""What is recorded is kept as it was given, once, or refused in one sentence."""

import functools
import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failaware import Handlers, Store, UsageError, Worker
from failaware.capture import record
from failaware.capture.secrets.masking import MASK
from failaware.errors import PayloadError
from failaware.facts import append
from failaware.model import EventWithAttempts, Failure, NewAttempt
from tests import processes
from tests.capture.test_json_values import VALUES
from tests.conftest import START, assert_rebuild_changes_nothing, query
from tests.sizes import sized

NOON_US = int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=sized(25, 100), deadline=None)
def test_any_json_value_comes_back(store, payload):
    event = store.record("a.b", payload)
    ((raw,),) = query(store, "SELECT event_payload FROM event_log WHERE event_id = ?", (event.event_id,))
    if "[masked]" not in raw:
        assert json.loads(raw) == payload


def test_what_record_returns_is_what_was_recorded(store, clock):
    event = store.record("a.b", {"n": 1}, key="k", source="s", occurred_at=datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert (event.event_id, event.event_type, event.payload, event.key, event.source) == (1, "a.b", {"n": 1}, "k", "s")
    assert event.occurred_at == int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000
    assert event.detected_at == START
    assert not event.known


def test_a_known_key_gives_the_first_event_and_adds_nothing(store):
    first = store.record("a", {"n": 1}, key="k")
    again = store.record("a", {"n": 2}, key="k")
    assert again.known
    assert (again.event_id, again.event_type, again.payload) == (first.event_id, "a", {"n": 1})
    assert query(store, "SELECT count(*) FROM event_log") == [(1,)]


def test_processes_that_race_for_a_key_record_one_event(path):
    Store.open(path).close()
    program = "import sys; from failaware import Store; print(Store.open(sys.argv[1]).record('a', key='k').event_id)"
    running = [
        processes.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert {process.communicate(timeout=60)[0] for process in running} == {"1\n"}


def test_record_many_takes_pairs_and_dicts_and_known_keys(store):
    given = [("a", 1), {"type": "b", "payload": [2], "key": "k", "source": "s", "occurred_at": "2026-11-01T00:00:00Z"}]
    events = store.record_many([*given, {"type": "b", "key": "k"}] + [("d", n) for n in range(2_500)])
    assert [event.event_id for event in events[:3]] == [1, 2, 2]
    assert [event.known for event in events[:3]] == [False, False, True]
    assert len({event.event_id for event in events}) == 2_502
    assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize(
    "item", ["ab", 1, None, ("a",), ("a", 1, 2), {"payload": 1}, {"type": "a", "nonsense": 1}, {"type": 7}, (7, "a")]
)
def test_what_is_no_event_is_refused_by_record_many_in_words(store, item):
    with pytest.raises(UsageError):
        store.record_many([("a", 1), item])
    assert query(store, "SELECT count(*) FROM event_log") == [(0,)]


def test_record_many_masks_each_payload_with_a_secret_among_others(store):
    payloads = [{"n": n, "note": "left at the gate"} for n in range(70)]
    payloads[33] |= {"password": "s3cr3t"}
    payloads[40] = "x" * 3_000
    payloads[41] = [[[n] for n in range(150)], "Zo\u00eb", "\ud800"]
    events = store.record_many([("a", payload) for payload in payloads])
    assert events[33].payload == {**payloads[33], "password": MASK}
    assert [event.payload for event in (*events[:33], *events[34:])] == [*payloads[:33], *payloads[34:]]
    stored = [json.loads(text) for (text,) in query(store, "SELECT event_payload FROM event_log ORDER BY event_id")]
    assert stored == [event.payload for event in events]


def test_chunks_before_one_that_is_refused_are_recorded_whole(store):
    with pytest.raises(PayloadError):
        store.record_many(("a", float("nan") if n == 2_500 else n) for n in range(3_000))
    assert query(store, "SELECT count(*) FROM event_log") == [(2_000,)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize(
    "when",
    [
        NOON_US,
        datetime(2026, 11, 1, 12, tzinfo=UTC),
        datetime(2026, 11, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_moment_may_be_given_in_any_zone_or_as_microseconds(store, when):
    assert store.record("a", 1, occurred_at=when).occurred_at == NOON_US


def test_a_moment_keeps_its_microseconds_also_before_the_epoch(store):
    moment = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert store.record("a", 1, occurred_at=moment).occurred_at == -1


@pytest.mark.parametrize("when", ["2026-11-01T12:00:00Z", "2026-11-01T14:00:00+02:00", NOON_US / 1e6])
def test_a_moment_of_a_dict_may_be_text_or_seconds(store, when):
    (event,) = store.record_many([{"type": "a", "occurred_at": when}])
    assert event.occurred_at == NOON_US


@pytest.mark.parametrize("raw", ['{"b":1.50,"a":[1e2]}', '"\\u00e9"', "12345678901234567890123"])
def test_prepared_json_is_kept_to_the_letter(store, raw):
    new, _ = store.session.recorder.event("a", json.loads(raw), now=START, raw=raw)
    store.session.ingest([EventWithAttempts(new)], [])
    assert query(store, "SELECT event_payload FROM event_log") == [(raw,)]


def test_the_limit_counts_bytes_and_is_the_last_size_that_fits(path):
    with Store.open(path, max_payload_bytes=10) as store:
        store.record("a", "x" * 8)
        store.record("a", "é" * 4)
        for too_large in ("x" * 9, "é" * 5):
            with pytest.raises(PayloadError, match="the limit is 10"):
                store.record("a", too_large)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (float("nan"), "not JSON"),
        ({"x": float("inf")}, "not JSON"),
        (object(), "not JSON"),
        ({"x": {1, 2}}, "not JSON"),
        ("x" * 2_000_000, "the limit is 1,048,576"),
        (b"bytes", "not JSON"),
    ],
)
def test_what_is_no_payload_is_refused(store, payload, says):
    with pytest.raises(PayloadError, match=says):
        store.record("a", payload)
    assert query(store, "SELECT count(*) FROM event_log") == [(0,)]


def nested(levels):
    payload = 1
    for level in range(levels):
        payload = [payload] if level % 2 else {"in": payload}
    return payload


@pytest.mark.parametrize("levels", [201, 900, 100_000])
def test_a_payload_nested_too_deeply_is_refused(store, levels):
    with pytest.raises(PayloadError, match="nested too deeply"):
        store.record("a", nested(levels))


@pytest.mark.parametrize("payload", [{"n": {1, 2}}, "x" * 2_000_000, nested(250)])
def test_record_many_refuses_a_payload_among_others_as_record_does(store, payload):
    with pytest.raises(PayloadError) as alone:
        store.record("a", payload)
    with pytest.raises(PayloadError) as among:
        store.record_many([("a", 1), ("a", payload), ("a", 2)])
    assert str(among.value) == str(alone.value)
    assert query(store, "SELECT count(*) FROM event_log") == [(0,)]


BRACKETS = st.recursive(
    st.sampled_from(["", "[", "}", '"[', '\\"]', "\\", "\\\\", "[[[", '{"', 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(['"', "[", "\\"]), inner, max_size=3),
    max_leaves=20,
)


@given(BRACKETS, st.integers(12, 20))
def test_brackets_in_texts_do_not_count_as_levels(inner, levels):
    def depth(value):
        items = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, items), default=0) if isinstance(value, list | dict) else 0

    payload = functools.reduce(lambda value, _: [value], range(levels), inner)
    with mock.patch.object(record, "_MAX_DEPTH", depth(payload)):
        record._check_depth(json.dumps(payload))
    with mock.patch.object(record, "_MAX_DEPTH", depth(payload) - 1), pytest.raises(PayloadError):
        record._check_depth(json.dumps(payload))


def test_any_payload_that_was_taken_can_be_worked_on_however_deep_the_stack(store, inspector):
    """A payload that only some processes could decode would end every worker that claims it."""
    store.record("a", nested(200))
    store.record("a", [[n] for n in range(1_000)])  # wide is not deep
    seen = []
    handlers = Handlers()
    handlers.on("*")(lambda event: seen.append(event.payload))

    def deeper(frames):
        if frames:
            deeper(frames - 1)
        else:
            Worker(store, handlers).run(until_idle=True, patience=0)

    deeper(300)
    assert seen == [nested(200), [[n] for n in range(1_000)]]


def test_a_payload_that_holds_itself_is_refused(store):
    loop = []
    loop.append(loop)
    with pytest.raises(PayloadError):
        store.record("a", loop)


@pytest.mark.parametrize(
    "name", ["items raise", "items raise no Exception", "items are no pairs", "an integer of 5,000 digits"]
)
@pytest.mark.parametrize("neighbor", ["plain", "password: tr0ub4dor"])
def test_a_payload_that_fails_when_it_is_read_is_refused(store, name, neighbor):
    with pytest.raises(PayloadError, match="the payload is not JSON: "):
        store.record("e", [VALUES[name][0], neighbor])


def test_a_payload_is_read_once(store):
    class Row(dict):
        def items(self):
            if hasattr(self, "read"):
                raise RuntimeError("the cursor is closed")
            self.read = True
            return super().items()

    row = Row(password="tr0ub4dor", deep=[[[]]] * 100, half="\ud800")
    assert store.record("e", row).payload["password"] == "[masked]"


def test_an_integer_that_other_processes_cannot_read_is_refused(store):
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        store.record("e", {"n": 10**4_299, "text": "9" * 5_000})
        with pytest.raises(PayloadError, match="at most 4,300 digits"):
            store.record("e", {"n": -(10**4_300)})
    finally:
        sys.set_int_max_str_digits(before)


class Kind(StrEnum):
    ORDER = "order.created"


def test_a_name_of_an_enum_is_kept_as_its_text(store):
    store.record(Kind.ORDER, key=Kind.ORDER, source=Kind.ORDER, fingerprint=Kind.ORDER)
    store.dismiss([1], because=Kind.ORDER, by=Kind.ORDER)
    names = query(store, "SELECT event_type, key, source, fingerprint FROM event_log JOIN event_key USING (event_id)")
    assert names == [("order.created",) * 4]
    assert query(store, "SELECT reason, decided_by FROM decision_log") == [("order.created",) * 2]


class NoZone(tzinfo):
    def utcoffset(self, _):
        return None


class BrokenZone(tzinfo):
    def utcoffset(self, _):
        raise LookupError


@pytest.mark.parametrize("zone", [NoZone(), BrokenZone()])
def test_a_moment_whose_zone_says_nothing_is_refused(store, zone):
    with pytest.raises(UsageError, match="needs a time zone"):
        store.record("e", occurred_at=datetime(2026, 11, 1, tzinfo=zone))


@pytest.mark.parametrize("name", ["", "x" * 513, "a\nb", "a\x1b[31m", None, 7])
def test_an_event_type_that_is_no_name_is_refused(store, name):
    with pytest.raises(UsageError, match="event type"):
        store.record(name, 1)


@pytest.mark.parametrize("when", ["2026-11-01", True, 1.5, datetime(2026, 11, 1), 2**63])  # noqa: DTZ001
def test_a_time_that_is_none_is_refused(store, when):
    with pytest.raises(UsageError, match="occurred_at"):
        store.record("a", 1, occurred_at=when)


def test_lone_surrogates_and_nul_are_kept_as_escapes(store):
    event = store.record("a", {"bad": "\ud800", "nul": "\x00"})
    ((raw,),) = query(store, "SELECT event_payload FROM event_log WHERE event_id = ?", (event.event_id,))
    assert json.loads(raw) == {"bad": "\ud800", "nul": "\x00"}


def test_secrets_do_not_reach_the_log(store):
    token = "ghp_" + "a1B2" * 9
    event = store.record("a", {"password": "hunter2", "note": f"use {token}", "n": 1})
    assert event.payload == {"password": "[masked]", "note": "use [masked]", "n": 1}
    assert query(store, "SELECT event_payload FROM event_log") == [(json.dumps(event.payload, separators=(",", ":")),)]


def test_many_threads_record_at_once_and_share_commits(store):
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda n: store.record("a", n, key=f"k{n % 400}").event_id, range(800)))
    assert sorted(set(ids)) == list(range(1, 401))
    assert_rebuild_changes_nothing(store)


def test_many_threads_without_keys_lose_and_double_nothing(store):
    with ThreadPoolExecutor(16) as pool:
        ids = [job.result() for job in [pool.submit(record_fifty, store, n) for n in range(16)]]
    assert sorted(itertools.chain(*ids)) == list(range(1, 801))
    payloads = query(store, "SELECT event_payload FROM event_log")
    assert {raw for (raw,) in payloads} == {f"[{n},{m}]" for n in range(16) for m in range(50)}
    assert store.session._commits.commits < 800  # they shared commits


def record_fifty(store, n):
    return [store.record("a", [n, m]).event_id for m in range(50)]


def test_one_threads_bad_job_does_not_harm_the_others(store):
    def job(n):
        try:
            return store.record("a" if n % 3 else "", n).event_id
        except UsageError:
            return None

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(job, range(300)))
    assert len([event_id for event_id in ids if event_id]) == 200
    assert query(store, "SELECT count(*) FROM event_log") == [(200,)]


@pytest.mark.parametrize("order", [*itertools.permutations((1, 2, 3))])
@pytest.mark.parametrize("together", [False, True])
def test_attempts_that_know_their_place_may_be_written_in_any_order(store, inspector, order, together):
    event = EventWithAttempts(store.session.recorder.event("a", None, now=START, key="k")[0])

    def attempt(number):
        failed = None if number == 3 else Failure("E", f"no {number}", None)
        at = START + number * 1_000_000
        return NewAttempt(0, failed, "w", at, at, None if number == 3 else at + 5, None, number)

    made = [event._replace(attempts=tuple(map(attempt, order)))] if together else []
    for one in made or [event._replace(attempts=(attempt(number),)) for number in order]:
        store.session.write(lambda db, one=one: append.observed(db, [one], store.session.policy, at_known=True))
    detail = inspector.event(1)
    assert [(tried.attempt_no, tried.error_message) for tried in detail.attempts] == [
        (1, "no 1"),
        (2, "no 2"),
        (3, None),
    ]
    assert (detail.sync_status, detail.retry_count, detail.due_at) == ("SYNCED", 2, None)
    assert_rebuild_changes_nothing(store)


def test_a_place_that_is_taken_is_not_taken_twice(store, inspector):
    event = store.session.recorder.event("a", None, now=START, key="k")[0]
    twice = [NewAttempt(0, None, "w", START, START, None, None, 1)] * 2
    for _ in range(2):
        one = EventWithAttempts(event, tuple(twice))
        store.session.write(lambda db, one=one: append.observed(db, [one], store.session.policy, at_known=True))
    assert [attempt.attempt_no for attempt in inspector.event(1).attempts] == [1, 2, 3, 4]


INTERRUPTED = """
import signal, sys, threading
from failaware import Store
store = Store.open(sys.argv[1], synchronous="NORMAL")
held, may_end = threading.Event(), threading.Event()

def hold(db):
    held.set()
    assert may_end.wait(20)

def raise_alarm(*_):
    raise TimeoutError

holder = threading.Thread(target=store.session.write, args=(hold,))
holder.start()
held.wait()
signal.signal(signal.SIGALRM, raise_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    store.record("a", "interrupted")
except TimeoutError:
    pass
others = [threading.Thread(target=store.record, args=("a", n)) for n in range(4)]
for other in others:
    other.start()
may_end.set()
for thread in (holder, *others):
    thread.join(10)
    assert not thread.is_alive()
store.record("a", "after")
"""


def test_a_signal_while_waiting_for_a_commit_holds_up_nobody_else(path):
    processes.run([sys.executable, "-c", INTERRUPTED, str(path)], check=True, timeout=60)
    with Store.open(path) as store:
        payloads = {payload for (payload,) in query(store, "SELECT event_payload FROM event_log")}
    assert payloads == {"0", "1", "2", "3", '"after"'}


def test_without_the_encoder_in_c_the_same_json_is_written(monkeypatch):
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    payload = {"a": [1, 1.5, None, True, "Zoë"]}
    assert record._one_shot()(payload) == record._encode(payload) == '{"a":[1,1.5,null,true,"Zoë"]}'
