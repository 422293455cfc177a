"""SIGKILL in the middle of an ingest of lines with keys, again and again: in the end each line is there once."""

import json
import os
import random
import subprocess
import sys
import time

import pytest

from failaware import Store
from failaware.ledger.verify import verify
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, plain, query
from tests.sizes import sized

LINES = sized(3_000, 6_000)


def line(form, number):
    if form == "lines":
        error = {"error": {"type": "Timeout", "message": f"took {number % 7} s"}} if number % 10 == 0 else {}
        return {"type": "order.import", "payload": {"order": number}, "key": f"order:{number}", **error}
    if form == "cloudevents":
        return {"specversion": "1.0", "type": "order.paid", "source": "/shop", "id": str(number), "data": number}
    record = {
        "severityNumber": 17,
        "timeUnixNano": str(1_795_000_000_000_000_000 + number),
        "body": {"intValue": number},
    }
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def ingest(path, file):
    command = [sys.executable, "-m", "failaware", "--db", str(path), "ingest", "--synchronous", "NORMAL", str(file)]
    return processes.Popen(command, stdout=subprocess.PIPE, text=True)


def recorded(path):
    with plain(path) as db:
        return db.execute("SELECT count(*) FROM event_log").fetchone()[0]


@pytest.mark.thinned
@pytest.mark.parametrize("form", ["lines", "cloudevents", "otlp"])
@pytest.mark.large
def test_a_killed_ingest_that_is_run_again_loses_and_doubles_nothing(path, tmp_path, form):
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(line(form, number)) + "\n" for number in range(LINES)))
    rng = random.Random(os.getpid())
    Store.open(path).close()
    amid = 0
    for _ in range(3):
        process = ingest(path, file)
        aim = min(recorded(path) + rng.randrange(1, LINES // 4), LINES - 1)
        while process.poll() is None and recorded(path) < aim:
            time.sleep(0.002)
        process.kill()
        process.communicate(timeout=60)
        amid += 0 < recorded(path) < LINES
    assert amid
    process = ingest(path, file)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    with Store.open(path) as store:
        assert verify(path).findings == ()
        assert query(store, "SELECT count(*), count(DISTINCT event_payload) FROM event_log") == [(LINES, LINES)]
        assert query(store, "SELECT count(*) FROM event_key") == [(LINES,)]
        assert query(store, "SELECT count(*) FROM reject_log") == [(0,)]
        failed = {"lines": LINES // 10, "cloudevents": 0, "otlp": LINES}[form]
        assert query(store, "SELECT count(*), count(DISTINCT event_id) FROM attempt_log") == [(failed, failed)]
        assert_rebuild_changes_nothing(store)
