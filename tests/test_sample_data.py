"""The sample data keeps its promises: the same every time, all severities, mostly success."""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from failaware import Inspector, Severity, Store, UsageError
from failaware.cli.main import main
from failaware.errors import StoreError
from sample_data import SCENARIOS, live, seed
from sample_data.handlers import registry
from sample_data.world import DAY, HOUR, world
from tests import processes
from tests.conftest import MINUTE, NOON, START, assert_rebuild_changes_nothing, query
from tests.sizes import sized


@pytest.fixture(scope="module")
def seeded(tmp_path_factory, samples):
    path = tmp_path_factory.mktemp("sample") / "sample.db"
    shutil.copy(samples(sized(600, 1_500), NOON), path)
    return path


def facts(path):
    with Store.open(path) as store:
        return [
            query(store, "SELECT * FROM event_log"),
            query(store, "SELECT event_id, attempt_no, outcome, error_type, error_message, started_at, finished_at, "
                         "retry_at, retry_reason FROM attempt_log ORDER BY 1, 2"),
        ]  # fmt: skip


def test_the_shares_add_up():
    assert sum(scenario.share for scenario in SCENARIOS) == pytest.approx(1)


@pytest.mark.large
def test_the_same_numbers_give_the_same_history_and_others_another(tmp_path):
    for name, number in (("a", 3), ("b", 3), ("c", 4)):
        seed(tmp_path / name, events=300, seed=number, now=START)
    assert facts(tmp_path / "a") == facts(tmp_path / "b")
    assert facts(tmp_path / "a")[0] != facts(tmp_path / "c")[0]


def test_it_fails_as_promised(seeded):
    with Inspector.open(seeded, clock=lambda: NOON) as inspector:
        health, severity, clusters = inspector.health(), inspector.severity(), inspector.clusters()
    assert health.total_events == sized(600, 1_500)
    assert health.synced >= 0.8 * health.total_events
    assert min(severity.CRITICAL, severity.HIGH, severity.MEDIUM, severity.LOW) > 0
    assert min(health.pending, health.failed, health.dead) > 0
    assert health.next_due is not None
    by_type = {cluster.event_type: cluster for cluster in clusters}
    assert by_type["payment.capture"].severity == "CRITICAL"
    assert by_type["payment.capture"].episodes >= 3
    assert by_type["order.import"].dead == 1
    assert by_type["email.send"].unresolved == 0
    assert by_type["email.send"].recovered == by_type["email.send"].events
    assert by_type["video.transcode"].error_type == "WorkerLost"
    assert by_type["crm.contact.update"].dead > 1
    assert 6 <= len(clusters) <= 10


@pytest.mark.thinned
@pytest.mark.parametrize(("hour", "number"), [(2, 7), (3, 5), (9, 4), (21, 1)])
@pytest.mark.large
def test_whenever_it_ends_nothing_promised_is_left_to_luck(tmp_path, hour, number):
    now = START // DAY * DAY + hour * HOUR + 17 * MINUTE + 123
    assert seed(tmp_path / "few.db", events=150, seed=number, now=now).events == 150
    with Inspector.open(tmp_path / "few.db", clock=lambda: now) as inspector:
        health, severity = inspector.health(), inspector.severity()
        by_type = {cluster.event_type: cluster for cluster in inspector.clusters()}
        waiting = inspector.events("status:FAILED")
    assert health.synced >= 0.8 * health.total_events
    assert all(severity.events[level] for level in (Severity.HIGH, Severity.MEDIUM, Severity.LOW))
    assert by_type["payment.capture"].severity == "CRITICAL"
    assert by_type["video.transcode"].error_type == "WorkerLost"
    assert by_type["video.transcode"].events == by_type["video.transcode"].dead == 1
    assert by_type["order.import"].dead == 1
    assert health.pending == 3
    assert waiting
    assert all(event.due_at > now for event in waiting)


def test_tracebacks_show_the_way_from_the_handler_to_the_error(seeded):
    with Store.open(seeded) as store:
        kept = [text for (text,) in query(store, "SELECT text FROM traceback_log")]
    assert kept
    assert all(3 <= text.count("  File ") <= 8 for text in kept)


def test_the_clock_is_real_again_whatever_happens(seeded, tmp_path):
    def broken(_done, _total):
        raise RuntimeError

    with pytest.raises(UsageError):
        seed(seeded, events=300)
    with pytest.raises(RuntimeError):
        seed(tmp_path / "broken.db", events=100, now=START, progress=broken)
    assert abs(world.now() - time.time_ns() // 1_000) < MINUTE


def test_too_few_events_are_refused_and_leave_no_file(tmp_path):
    with pytest.raises(UsageError, match="must be at least 100"):
        seed(tmp_path / "few.db", events=99)
    assert list(tmp_path.iterdir()) == []


def test_live_waits_are_short():
    slow, quick = registry().find("payment.capture"), registry(hurry=30).find("payment.capture")
    assert quick.retry.base == slow.retry.base / 30
    assert quick.retry.max_attempts == slow.retry.max_attempts


def test_what_is_derived_of_it_is_exact(seeded):
    with Store.open(seeded) as store:
        assert_rebuild_changes_nothing(store)


def test_tracebacks_are_kept_once(seeded):
    with Store.open(seeded) as store:
        (failures,) = query(store, "SELECT count(*) FROM attempt_log WHERE traceback IS NOT NULL")[0]
        (kept,) = query(store, "SELECT count(*) FROM traceback_log")[0]
    assert kept < failures / 4


def test_a_store_that_holds_events_is_left_alone(seeded):
    with pytest.raises(UsageError, match="already has events"):
        seed(seeded, events=300)


def test_it_lives(tmp_path):
    path, stop = tmp_path / "live.db", threading.Event()
    thread = threading.Thread(target=live, args=(path,), kwargs={"stop": stop, "rate": 200.0})
    thread.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        time.sleep(0.1)
        with suppress(StoreError), Inspector.open(path) as inspector:  # before its tables are made
            if inspector.health().synced > 20:
                break
    stop.set()
    thread.join(20)
    with Inspector.open(path) as inspector:
        assert inspector.health().synced > 20


def test_a_second_life_adds_events_too(tmp_path):
    counts = []
    for _ in range(2):
        stop = threading.Event()
        threading.Timer(0.4, stop.set).start()
        live(tmp_path / "live.db", stop=stop, rate=200.0)
        with Inspector.open(tmp_path / "live.db") as inspector:
            counts.append(inspector.health().total_events)
    assert 0 < counts[0] < counts[1]


def test_the_demo_counts_at_its_end_what_was_recorded_meanwhile(tmp_path, monkeypatch, capsys):
    def inspector(place):
        with Store.open(place) as store:
            store.record_many(("late", n) for n in range(3))
        return 0

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("failaware.cli.demo.seed_store", lambda place, **_: Store.open(place).close())
    monkeypatch.setattr("sample_data.live", lambda *_, **__: None)
    monkeypatch.setattr("tui.app.run_inspector", inspector)
    assert main(["demo"]) == 0
    assert "At the end: 3 events." in capsys.readouterr().out


@pytest.mark.large
def test_the_demo_without_a_terminal_prints_the_reports(tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "FAILAWARE_DB"}
    done = processes.run(
        [sys.executable, "-m", "failaware", "demo", "--events", "300"],
        capture_output=True, text=True, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in (
        "failaware health",
        "failaware severity",
        "failaware clusters",
        "failaware explain",
        "matched",
        "CRITICAL",
    ):
        assert part in done.stdout
    assert list(tmp_path.iterdir()) == []
