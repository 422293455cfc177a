"""The plugin in real runs of pytest: alone, with xdist, with reruns, run after run."""

import json
import os
import sys
import time
from functools import partial

import pytest

from failaware import Inspector
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query

SUITE = """
import os
import pytest

def test_adds():
    assert 1 + 1 == 2

@pytest.mark.parametrize("order", [17, 18])
def test_pays(order, record_property):
    record_property("order", order)
    print("paying with password=hunter22")
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error

def test_counts():
    assert [1, 2] == [1, 3]

@pytest.fixture
def unready():
    raise OSError("no such disk")

def test_needs(unready):
    pass

@pytest.fixture
def unclean():
    yield
    raise OSError("cannot clean up")

def test_cleans(unclean):
    raise ValueError("and before that")

@pytest.mark.skip
def test_later():
    pass

@pytest.mark.xfail
def test_known():
    raise ValueError("known")

@pytest.mark.xfail(strict=True)
def test_surprises():
    pass
"""
UNNEEDED = [f"-pno:{name}" for name in ("cacheprovider", "valkey", "hypothesispytest", "asyncio")]
"""Plugins that are only installed here, and take longer to load than all the rest."""
OUTCOMES = {
    "test_adds": "SYNCED",
    "test_pays[17]": "DEAD",
    "test_pays[18]": "DEAD",
    "test_counts": "DEAD",
    "test_needs": "DEAD",
    "test_cleans": "DEAD",
    "test_surprises": "DEAD",
}


@pytest.fixture
def run(path, tmp_path):
    return partial(_run, tmp_path, path)


def _run(tmp_path, path, *words, status=1, ago=0, **files):
    """Run pytest with the plugin in the store's folder, `ago` hours, with these files; returns what it printed."""
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", *UNNEEDED, *words]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"AGO": str(ago)}
    done = processes.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def recorded(path):
    with Inspector.open(path) as inspector:
        events = [inspector.event(summary.event_id) for summary in inspector.events()]
    return {event.event_type.rpartition("::")[2]: event for event in events}


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("spread", [(), ("-n2",)], ids=["alone", "xdist"])
def test_each_test_is_an_event_with_its_error_where_people_look(path, spread, run):
    output = run(f"--failaware={path}", *spread, test_shop=SUITE)
    result = recorded(path)
    assert {name: event.sync_status for name, event in result.items()} == OUTCOMES
    assert "failaware: 7 tests in " in output
    assert ", 6 failed" in output
    pays = result["test_pays[17]"]
    (attempt,) = pays.attempts
    assert pays.event_type == "test_shop.py::test_pays[17]"
    assert pays.key.startswith("pytest:")
    assert pays.key.endswith(" test_shop.py::test_pays[17]")
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "order 17 is not charged")
    assert attempt.cause == "ConnectionError: connection reset"
    assert '>           raise RuntimeError(f"order {order} is not charged") from error' in attempt.traceback
    assert attempt.worker.endswith("#pytest")
    payload = json.loads(pays.event_payload)
    assert (payload["where"].split(":")[0], payload["phase"]) == ("test_shop.py", "call")
    assert payload["properties"] == {"order": 17}
    assert payload["captured"] == {"Captured stdout call": "paying with password=[masked]\n"}
    assert result["test_counts"].attempts[0].error_type == "AssertionError"
    assert "[1, 2] == [1, 3]" in result["test_counts"].attempts[0].error_message
    assert result["test_needs"].attempts[0].error_message == "no such disk"
    assert json.loads(result["test_needs"].event_payload)["phase"] == "setup"
    unclean = result["test_cleans"].attempts[0]
    assert (unclean.error_message, "cannot clean up" in unclean.traceback) == ("and before that", True)
    assert "strict" in result["test_surprises"].attempts[0].error_message


@pytest.mark.large
def test_a_flaky_test_is_one_recurring_cluster_across_runs(path, store, run):
    conftest = """
import os
import pytest
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    report.start -= 3600 * int(os.environ["AGO"])
    report.stop -= 3600 * int(os.environ["AGO"])
    return report
"""
    flaky = "import os\ndef test_flaky():\n    assert os.environ['AGO'] == '40', 'the cart is empty'\n"
    for ago, status in ((72, 1), (40, 0), (24, 1)):
        run(f"--failaware={path}", status=status, ago=ago, conftest=conftest, test_cart=flaky)
    assert query(store, "SELECT event_type, events, episodes, severity, rule FROM failure_cluster") == [
        ("test_cart.py::test_flaky", 2, 2, "CRITICAL", "recurring")
    ]
    assert query(store, "SELECT sync_status FROM event_state ORDER BY event_id") == [("DEAD",), ("SYNCED",), ("DEAD",)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.large
def test_reruns_are_attempts_at_the_same_event(path, run):
    flaky = (
        "from pathlib import Path\ndef test_flaky():\n    mark = Path('mark')\n    mark.touch() if not mark.exists() "
    )
    flaky += "else mark.unlink()\n    assert not mark.exists(), 'the cart is empty'\ndef test_bad():\n    assert 0\n"
    run(f"--failaware={path}", "--reruns=1", test_cart=flaky)
    result = recorded(path)
    assert [attempt.outcome for attempt in result["test_flaky"].attempts] == ["FAILED", "SYNCED"]
    assert result["test_flaky"].attempts[0].retry_reason == "run again"
    assert [attempt.outcome for attempt in result["test_bad"].attempts] == ["FAILED", "FAILED"]
    assert result["test_bad"].sync_status == "DEAD"


@pytest.mark.large
def test_a_file_that_cannot_be_collected_is_a_failure(path, run):
    run(
        f"--failaware={path}",
        "-n2",
        status=1,
        test_broken="import no_such_module\n",
        test_ok="def test(): pass\n",
    )
    (broken, _) = sorted(recorded(path).values(), key=lambda event: event.event_type)
    assert (broken.event_type, broken.sync_status) == ("test_broken.py", "DEAD")
    assert "no_such_module" in broken.attempts[0].traceback


@pytest.mark.large
def test_a_test_that_takes_its_worker_with_it_is_a_failure(path, run):
    dies = "import os\ndef test_dies():\n    os._exit(3)\ndef test_lives():\n    pass\n"
    run(f"--failaware={path}", "-n1", test_dies=dies)
    result = recorded(path)
    assert result["test_dies"].attempts[0].error_type == "WorkerCrashed"
    assert result["test_lives"].sync_status == "SYNCED"


@pytest.mark.large
def test_a_run_that_is_killed_leaves_what_it_did(path, run):
    killed = (
        "import os, signal\ndef test_first():\n    pass\ndef test_killed():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run(f"--failaware={path}", status=-9, test_killed=killed)
    assert {name: event.sync_status for name, event in recorded(path).items()} == {"test_first": "SYNCED"}


@pytest.mark.thinned
@pytest.mark.large
def test_without_the_option_nothing_is_recorded_and_a_bad_path_is_one_sentence(path, tmp_path, run):
    run(status=0, test_ok="def test(): pass\n")
    assert not (tmp_path / "store.db").exists()
    (tmp_path / "text").write_text("no store")
    output = run("--failaware=text", status=4)
    assert "--failaware: " in output
    assert "Traceback" not in output


HOSTILE = """
import builtins, json, os, sys, time
import pytest

class ApiError(Exception):
    def __getattr__(self, name):
        return getattr(self.response, name)

class Unprintable(Exception):
    def __str__(self):
        raise LookupError("no session")

def test_properties(record_property, request):
    request.node.user_properties += [("odd",), "text", ("object", object()), (1, {1: {2}})]
    raise ValueError("and so on")

def test_unprintable():
    raise Unprintable("A-1")

def test_forks():
    if os.fork() == 0:
        sys.exit(0)  # which pytest takes for a failure, and goes on in the child
    os.wait()

def test_leaves(tmp_path):
    os.chdir(tmp_path)

def test_closes_standard_output():
    sys.stdout.close()

def test_replaces_time_and_json():
    time.time = time.time_ns = time.monotonic = lambda: 0
    json.dumps = json.loads = json.JSONEncoder.encode = None

def test_replaces_open_and_str():
    builtins.open = os.open = os.getcwd = None
"""


@pytest.mark.sqlite
@pytest.mark.large
def test_tests_that_change_the_process_are_recorded_once(path, run):
    began = time.time()
    assert "INTERNALERROR" not in run(f"--failaware={path.name}", test_hostile=HOSTILE)
    made = recorded(path)
    assert set(made) == {
        *("test_unprintable", "test_forks", "test_leaves", "test_closes_standard_output", "test_properties"),
        *("test_replaces_time_and_json", "test_replaces_open_and_str"),
    }
    assert all(len(event.attempts) == 1 for event in made.values())
    assert all(began - 1 < event.detected_at / 1e6 < time.time() + 1 for event in made.values())
    assert made["test_unprintable"].attempts[0].error_message == "<unprintable Unprintable>"
    assert json.loads(made["test_properties"].event_payload)["properties"]["1"] == {"1": "{2}"}


@pytest.mark.thinned
@pytest.mark.sqlite
@pytest.mark.parametrize("warnings", [(), ("-Werror",)], ids=["default", "errors"])
@pytest.mark.large
def test_a_store_that_others_may_read_is_a_line_at_the_end(path, run, warnings):
    run(f"--failaware={path}", status=0, test_ok="def test(): pass\n")
    path.chmod(0o640)
    output = run(f"--failaware={path}", *warnings, status=0, test_ok="def test(): pass\n")
    assert "failaware: " in output
    assert "INTERNALERROR" not in output
    assert "chmod" in output


FAILING = """
import warnings
import pytest
from failaware.errors import StoreBusy
from failaware.session import Session
ingest, left = Session.ingest, [{0}]
def fails(self, observed, rejects):
    warnings.warn("about the store")
    if any("test_refused" in event.event.event_type for event in observed):
        raise OverflowError("more than the store takes")
    if left[0]:
        left[0] -= 1
        raise StoreBusy("another process holds the store")
    return ingest(self, observed, rejects)
Session.ingest = fails
"""
SEVERAL = "import pytest\n@pytest.mark.parametrize('n', range(5))\ndef test(n): assert n != 3\n"


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("failures", "more", "tests", "end"),
    [
        (1, "", 5, ", 1 failed\n"),
        (1_000, "", 0, "; not all are recorded: another process holds the store\n"),
        (0, "def test_refused(): pass\n", 5, "; not all are recorded: OverflowError: more than the store takes\n"),
        (2, "def test_refused(): pass\n", 5, "; not all are recorded: OverflowError: more than the store takes\n"),
    ],
)
@pytest.mark.sqlite
@pytest.mark.large
def test_what_cannot_be_written_is_tried_again_and_reported_and_the_run_goes_on(path, run, failures, more, tests, end):
    output = run(f"--failaware={path}", "-Werror", conftest=FAILING.format(failures), test_several=SEVERAL + more)
    assert f"{5 + bool(more) - 1} passed" in output
    assert end in output
    assert len(recorded(path)) == tests
