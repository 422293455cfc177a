"""What the facts show over time, on the command line: the error changed, recovered, the calendar, the impact."""

import json
import re
import shlex

import pytest

from failaware import Handlers, Permanent, Retry, Store, Worker
from tests.conftest import Clock

from .test_commands import failaware


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Payments that fail in three ways and recover, are helped, wait or are dead; and a retry storm in ten minutes."""
    path = tmp_path_factory.mktemp("patterns") / "a store.db"
    handlers, clock = Handlers(), Clock()

    class AuthError(Exception):
        pass

    outcomes = {  # by event, attempt by attempt
        1: [TimeoutError("late")] * 5 + [AuthError("denied"), AuthError("denied"), Permanent("no")],
        2: [TimeoutError("late")] * 2 + [None],
        3: [TimeoutError("late"), Permanent("no"), None],
        4: [TimeoutError("late")] * 9,
    }

    @handlers.on("payment", retry=Retry(max_attempts=20, base=60, factor=1, jitter=0))
    def payment(event):
        error = outcomes[event.event_id][event.attempt_no - 1]
        if error is not None:
            raise error

    @handlers.on("burst", retry=Retry(max_attempts=9, base=600, jitter=0))
    def burst(event):
        raise ConnectionError("refused \x1b]0;owned\x07")

    with Store.open(path, clock=clock) as store:
        store.record_many(("payment", n) for n in range(4))
        worker = Worker(store, handlers)
        for _ in range(8):
            worker.run(until_idle=True, patience=0)
            clock.advance(60)
            if store.session.read(
                lambda db: db.query("SELECT 1 FROM event_state WHERE event_id = 3 AND sync_status = 'DEAD'")
            ):
                store.requeue([3], because="try again", by="ada")
        store.record_many(("burst", n) for n in range(12))
        worker.run(until_idle=True, patience=0)
    clusters = json.loads(failaware("clusters", "--json", db=path).stdout)
    late = next(cluster["cluster_id"] for cluster in clusters if cluster["template"] == "late")
    return path, late


def test_an_event_says_how_its_error_changed(history):
    path, _ = history
    output = failaware("event", "1", db=path).stdout
    assert "TimeoutError ×5 → AuthError ×2 → Permanent ×1 → DEAD" in output
    assert "TimeoutError ×1 → Permanent ×1 → requeued by ada → SYNCED" in failaware("event", "3", db=path).stdout
    runs = json.loads(failaware("event", "1", "--json", db=path).stdout)["runs"]
    assert [(run["kind"], run["name"], run["times"]) for run in runs] == [
        ("FAILED", "TimeoutError", 5),
        ("FAILED", "AuthError", 2),
        ("FAILED", "Permanent", 1),
        ("STATE", "DEAD", 1),
    ]
    assert (runs[1]["first_attempt"], runs[1]["last_attempt"]) == (6, 7)


def test_a_cluster_says_what_came_before_and_after(history):
    path, late = history
    result = json.loads(failaware("cluster", str(late), "--json", db=path).stdout)["transitions"]
    after = {move["error_type"] or move["kind"]: move["events"] for move in result["after"]}
    assert {name.rpartition(".")[2]: events for name, events in after.items()} == {
        "AuthError": 1, "SYNCED": 1, "Permanent": 1, "RETRYING": 1,
    }  # fmt: skip
    assert [(move["kind"], move["events"]) for move in result["before"]] == [("FIRST", 4)]
    shown = failaware("cluster", str(late), db=path).stdout
    assert re.search(r"4  none: it was their first attempt", shown)
    assert re.search(r"1  \d{8}  AuthError: denied", shown)


def test_each_number_of_an_impact_comes_with_the_command_that_lists_its_events(history):
    path, late = history
    shown = failaware("cluster", str(late), db=path).stdout
    commands = re.findall(r"^(events|attempts|dead|waiting|oldest) +(\S+).*?(failaware --db .+)$", shown, re.MULTILINE)
    listed = {}
    for name, number, command in commands:
        program, *words = shlex.split(command)
        assert program == "failaware"
        events = json.loads(failaware(*words, "--json").stdout)
        listed[name] = (number, sorted(event["event_id"] for event in events))
    impact = json.loads(failaware("cluster", str(late), "--json", db=path).stdout)["impact"]
    assert {name: ids for name, (_, ids) in listed.items()} == {
        "events": [1, 2, 3, 4], "attempts": [1, 2, 3, 4], "dead": [], "waiting": [4], "oldest": [4],
    }  # fmt: skip
    for name in ("events", "dead", "waiting"):
        assert impact[name]["value"] == len(listed[name][1]) == int(listed[name][0])
    assert impact["attempts"]["value"] == int(listed["attempts"][0]) == 5 + 2 + 1 + 9


def test_a_command_for_the_store_that_is_meant_anyway_names_none(history, tmp_path):
    path, late = history
    shown = failaware("cluster", str(late), FAILAWARE_DB=str(path)).stdout
    assert f"  failaware events cluster:{late}" in shown


def test_what_recovered(history):
    path, late = history
    result = json.loads(failaware("recovered", "--json", db=path).stdout)
    (first, second) = result["clusters"]
    assert (first["cluster_id"], first["recovery"]["recovered"], first["recovery"]["helped"]) == (late, 1, 1)
    assert (first["recovery"]["attempts"], first["recovery"]["total_delay"]) == (2, 120_000_000)
    assert (second["recovery"]["recovered"], second["recovery"]["helped"], second["recovery"]["median_delay"]) == (
        0,
        1,
        None,
    )
    assert (result["total"]["recovered"], result["total"]["helped"]) == (1, 1)
    shown = failaware("recovered", "type:payment", "--limit", "1", db=path).stdout
    assert re.search(rf"{str(late)[:8]} +1 +1 +2 +2 min +2 min +2 min +2 min +1 +0  payment  TimeoutError: late", shown)
    assert re.search(r"all +1 +1 +2 .* each event once", shown)
    assert "The first 1; --limit shows more" in shown
    assert (
        "No failed event that matches the filter has recovered." in failaware("recovered", "type:burst", db=path).stdout
    )


def test_the_calendar_marks_a_retry_storm(history):
    path, _ = history
    calendar = json.loads(failaware("due", "--json", db=path).stdout)
    # The history is far from the machine's time: what waits is overdue, or beyond the hour.
    assert {due["event_type"]: due["overdue"] + due["later"] for due in calendar["types"]} == {
        "burst": 12,
        "payment": 1,
    }
    assert calendar["bursts"] == []


def test_a_retry_storm_of_now(tmp_path):
    path, handlers = tmp_path / "s.db", Handlers()

    @handlers.on("burst", retry=Retry(max_attempts=9, base=600, jitter=0))
    def burst(event):
        raise ConnectionError("refused \x1b]0;owned\x07")

    with Store.open(path) as store:
        store.record_many([*(("burst", n) for n in range(30)), ("new", 1)])
        Worker(store, handlers).run(until_idle=True, patience=0)
    shown = failaware("due", db=path).stdout
    assert re.search(r"burst +0 +30 +0  ·+█", shown)
    assert re.search(r"retry storm  \d\d:\d\d, in (9|10) min: \d+ retries of burst, usually 0 per minute", shown)
    assert re.search(r"  \d+ of cluster \d{8}  ConnectionError: refused \\x1b\]", shown)
    assert "1 event PENDING, due now" in shown
    described = " ".join(failaware("due", "--help").stdout.split())
    assert "at least 10 retries of one event type, and at least 4 times the median of the 10 minutes" in described
