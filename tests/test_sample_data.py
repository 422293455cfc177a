"""The sample data keeps its promises: the same every time, all severities, mostly success."""

import os
import subprocess
import sys
import threading
import time

import pytest

from failaware import Inspector, Store, UsageError
from sample_data import SCENARIOS, live, seed
from tests.conftest import START, assert_rebuild_changes_nothing, query


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "sample.db"
    return path, seed(path, events=1_500, now=START)


def facts(path):
    with Store.open(path) as store:
        return [
            query(store, "SELECT * FROM event_log"),
            query(store, "SELECT event_id, attempt_no, outcome, error_type, error_message, started_at, finished_at, "
                         "retry_at, because FROM attempt_log ORDER BY 1, 2"),
        ]  # fmt: skip


def test_the_shares_add_up():
    assert sum(scenario.share for scenario in SCENARIOS) == pytest.approx(1)


def test_the_same_numbers_give_the_same_history_and_others_another(tmp_path):
    for name, number in (("a", 3), ("b", 3), ("c", 4)):
        seed(tmp_path / name, events=300, seed=number, now=START)
    assert facts(tmp_path / "a") == facts(tmp_path / "b")
    assert facts(tmp_path / "a")[0] != facts(tmp_path / "c")[0]


def test_it_fails_as_promised(seeded):
    path, report = seeded
    assert report.events == 1_500
    with Inspector.open(path, clock=lambda: START) as inspector:
        health, severity, clusters = inspector.health(), inspector.severity(), inspector.clusters()
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
    assert 6 <= len(clusters) <= 12


def test_what_is_derived_of_it_is_exact(seeded):
    with Store.open(seeded[0]) as store:
        assert_rebuild_changes_nothing(store)


def test_tracebacks_are_kept_once(seeded):
    with Store.open(seeded[0]) as store:
        (failures,) = query(store, "SELECT count(*) FROM attempt_log WHERE traceback IS NOT NULL")[0]
        (kept,) = query(store, "SELECT count(*) FROM traceback_log")[0]
    assert kept < failures / 4


def test_a_store_that_holds_events_is_left_alone(seeded):
    with pytest.raises(UsageError, match="holds events already"):
        seed(seeded[0], events=300)


def test_it_lives(tmp_path):
    path, stop = tmp_path / "live.db", threading.Event()
    thread = threading.Thread(target=live, args=(path,), kwargs={"stop": stop, "rate": 200.0})
    thread.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if path.exists() and path.stat().st_size:
            with Inspector.open(path) as inspector:
                if inspector.health().synced > 20:
                    break
    stop.set()
    thread.join(20)
    with Inspector.open(path) as inspector:
        assert inspector.health().synced > 20


def test_the_demo_without_a_terminal_prints_the_reports(tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "FAILAWARE_DB"}
    done = subprocess.run(
        [sys.executable, "-m", "failaware", "demo", "--events", "300"],
        capture_output=True, text=True, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in (
        "failaware health",
        "failaware severity",
        "failaware clusters",
        "failaware explain",
        "held",
        "CRITICAL",
    ):
        assert part in done.stdout
    assert list(tmp_path.iterdir()) == []
