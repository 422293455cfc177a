"""Nothing that a program logs or reports is lost by how its logging is configured or how its processes end."""

import json
import logging
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

from failaware import Store
from failaware.errors import StoreError
from failaware.integrations.logging import FailureHandler
from tests.conftest import query

BEGIN = """
import atexit, json, os, sys, time
def last():
    log.error("after logging has ended")
atexit.register(last)
import logging, logging.config, logging.handlers
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from failaware import Store
from failaware.integrations.logging import FailureHandler
log = logging.getLogger("shop")
"""
ADDED = """
store = Store.open(sys.argv[1])
logging.getLogger().addHandler(FailureHandler(store))
"""
SENTRY = """
import sentry_sdk
from failaware.integrations.sentry import Transport
store = Store.open(sys.argv[1])
sentry_sdk.init(transport=Transport(store), default_integrations=False)
atexit.unregister(last)
class log:
    def error(format, *values):
        sentry_sdk.capture_message(format % values if values else format, level="error")
"""
FILE_CONFIG = r"""
import io
logging.config.fileConfig(io.StringIO('''
[loggers]
keys=root
[handlers]
keys=none
[formatters]
keys=
[logger_root]
handlers=none
[handler_none]
class=NullHandler
args=()
'''), disable_existing_loggers=False)
logging.getLogger().addHandler(handler)
"""
CONFIGURED = {
    "dictConfig": 'logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})',
    "fileConfig": FILE_CONFIG,
    "shutdown": "logging.shutdown()",
    "closed twice": "handler.close(); handler.close()",
    "removed and added": "logging.getLogger().removeHandler(handler); logging.getLogger().addHandler(handler)",
}
PATIENT = """
from failaware.integrations import background
background._PUT_WAIT_S = 60
"""
"""What is reported last is written before its process ends, however slow the machine is."""
CHILDREN = """
def work(name):
    log.error(name)
    return name
def dies(name):
    work(name)
    os.kill(os.getpid(), 9)
def child(*job):
    process = mp.Process(target=job[0], args=job[1:])
    process.start()
    process.join()
if __name__ == "__main__":
    mp.set_start_method(sys.argv[2])
    child(work, "Process")
    child(dies, "killed")
    with ProcessPoolExecutor(1) as pool:
        assert list(pool.map(work, ["ProcessPoolExecutor"]))
    with mp.Pool(1) as pool:  # which ends its processes with SIGTERM
        assert pool.map(work, ["Pool"])
"""
IN_CHILDREN = {"Process", "killed", "ProcessPoolExecutor", "Pool"}
FORKS = """
for name in ("os._exit", "killed after a fork"):
    if os.fork() == 0:
        log.error(name)
        os._exit(0) if name == "os._exit" else os.kill(os.getpid(), 9)
    os.wait()
"""


@pytest.fixture
def run(path, tmp_path):
    return partial(_run, tmp_path, path)


def _run(tmp_path, path, program, *words, begin=BEGIN):
    script = tmp_path / "program.py"
    script.write_text(begin + program)
    done = subprocess.run(
        [sys.executable, str(script), str(path), *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def failures(path):
    with Store.open(path) as store:
        return messages(store)


def messages(store):
    return [row[0] for row in query(store, "SELECT error_message FROM attempt_log ORDER BY attempt_id")]


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("how", CONFIGURED)
def test_a_handler_survives_what_closes_it_and_keeps_what_is_logged_last(run, store, how):
    done = run(
        ADDED + "(handler,) = logging.getLogger().handlers[-1:]\nlog.error('before')\n" + CONFIGURED[how] + "\n"
        "log.error('after')\n"
    )
    assert messages(store) == ["before", "after", "after logging has ended"]
    assert done.stderr == ""


def test_the_only_record_of_a_program_may_come_at_its_very_end(run, store):
    run(ADDED)
    assert messages(store) == ["after logging has ended"]


DYING = """
import logging, sys, threading, time
from failaware.integrations.logging import FailureHandler
handler = FailureHandler(sys.argv[1])
logging.getLogger().addHandler(handler)
class Dying:
    def __del__(self):
        logging.error("from a destructor")
dying = Dying()
"""


def test_a_destructor_may_log_when_the_threads_of_the_interpreter_have_ended(path, store, tmp_path):
    _run(tmp_path, path, DYING + "logging.error('before')\n", begin="")
    assert messages(store) == ["before", "from a destructor"]


def test_the_first_record_of_a_program_may_be_that_of_a_last_destructor(path, tmp_path):
    done = _run(tmp_path, path, DYING, begin="")  # it is recorded, or its loss reported: modules cannot be imported
    assert len(failures(path)) + done.stderr.count("1 log records could not be kept") == 1


def test_a_destructor_does_not_wait_for_a_thread_that_the_end_stopped_in_a_transaction(path, tmp_path):
    end_within = "threading.Thread(target=handler._store.session._commits._lock.acquire).start()\n"
    done = _run(tmp_path, path, DYING + end_within, begin="")
    assert "1 log records could not be kept: the interpreter had ended" in done.stderr


def test_a_store_that_cannot_be_opened_is_one_error_and_none_at_the_end(tmp_path):
    (tmp_path / "store.db").write_text("no database" * 100)
    program = "import sys\nfrom failaware.integrations.logging import FailureHandler\n"
    program += "try: FailureHandler(sys.argv[1])\nexcept Exception as error: kept = error\n"
    assert _run(tmp_path, tmp_path / "store.db", program, begin="").stderr == ""


def test_where_no_thread_can_be_started_a_record_is_counted_and_reported(store, monkeypatch, capsys):
    def cannot(self):
        raise RuntimeError("can't start new thread")

    handler = FailureHandler(store)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", cannot)
        handler.handle(record("one"))
    assert "1 log records could not be kept: can't start new thread" in capsys.readouterr().err
    handler.handle(record("two"))
    handler.close()
    assert messages(store) == ["two"]


def test_a_handler_that_a_configuration_makes_opens_the_store_by_its_path(run, store):
    run("""
failures = {"()": "failaware.integrations.logging.FailureHandler", "store": sys.argv[1], "level": "CRITICAL"}
config = {"version": 1, "handlers": {"failures": failures}, "root": {"handlers": ["failures"]}}
config["disable_existing_loggers"] = False
logging.config.dictConfig(config)
logging.config.dictConfig(config)
log.critical("no stock")
log.error("not this one")
""")
    assert messages(store) == ["no stock"]


@pytest.mark.thinned
@pytest.mark.sqlite
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.large
def test_what_a_child_that_imports_the_program_logs_last_is_kept(run, store, method):
    run(PATIENT + ADDED + CHILDREN, method)
    assert set(messages(store)) - {"after logging has ended"} == IN_CHILDREN


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("way", [ADDED, SENTRY], ids=["logging", "sentry"])
def test_what_a_forked_child_reports_last_is_kept(run, store, way):
    run(PATIENT + way + FORKS + CHILDREN, "fork")
    assert set(messages(store)) - {"after logging has ended"} == IN_CHILDREN | {"os._exit", "killed after a fork"}


def test_a_thread_is_started_by_the_first_record_and_ended_by_close(store):
    before = threading.active_count()
    handler = FailureHandler(store)
    assert threading.active_count() == before
    for _ in range(3):
        handler.handle(record("one"))
        handler.close()
        assert threading.active_count() == before
    assert messages(store) == ["one"] * 3


def record(message, **more):
    return logging.makeLogRecord({"name": "shop", "levelno": 40, "levelname": "ERROR", "msg": message} | more)


def test_signal_handlers_destructors_and_the_writing_thread_itself_may_log(store, monkeypatch):
    handler, ingest = FailureHandler(store), store.session.ingest

    class Dying:
        def __del__(self):
            handler.handle(record("from a destructor"))

    class Odd:
        def __str__(self):
            signal.raise_signal(signal.SIGUSR1)
            Dying()
            return "odd"

    def chatty(*words):
        handler.handle(record("from the thread that writes"))
        return ingest(*words)

    before = signal.signal(signal.SIGUSR1, lambda *_: handler.handle(record("from a signal handler")))
    monkeypatch.setattr(store.session, "ingest", chatty)
    try:
        handler.handle(record(Odd()))
    finally:
        signal.signal(signal.SIGUSR1, before)
    handler.close()
    assert sorted(messages(store)) == ["from a destructor", "from a signal handler", "odd"]
    assert handler.dropped >= 1  # what the writing thread logged itself


@pytest.mark.tour
@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("odd")])
def test_what_is_lost_is_reported_once_with_the_reason(store, monkeypatch, capsys, error):
    def fails(*_):
        raise error

    monkeypatch.setattr("failaware.integrations.logging._CLOSE_TIMEOUT_S", 0.1)
    handler = FailureHandler(store)
    monkeypatch.setattr(store.session, "ingest", fails)
    handler.handle(record("one"))
    handler.handle(record("two"))
    handler.close()
    handler.close()
    assert capsys.readouterr().err == f"failaware: 2 log records could not be kept: {error}\n"
    monkeypatch.undo()
    handler._background._close_timeout_s = 30
    handler.handle(record("three"))
    handler.close()
    assert (messages(store), capsys.readouterr().err) == (["three"], "")


def test_a_closed_standard_error_hurts_nobody(store, monkeypatch):
    class Closed:
        def write(self, text):
            raise ValueError("I/O operation on closed file")

    handler = FailureHandler(store, capacity=0)
    handler.handle(record("one"))
    for stderr in (Closed(), None):
        monkeypatch.setattr(sys, "stderr", stderr)
        handler._background._reported = 0
        handler.close()
    assert handler.dropped == 1


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.large
def test_two_processes_use_one_handler(path, run):
    run(
        ADDED
        + """
children = []
for child in range(2):
    children.append(os.fork())
    if children[-1] == 0:
        for n in range(50): log.error("%s of %s", n, child)
        logging.shutdown()
        os._exit(0)
for n in range(50): log.error("%s of the parent", n)
for child in children: os.waitpid(child, 0)
"""
    )
    with Store.open(path) as store:
        assert len(set(messages(store))) == 151


def test_a_store_that_is_locked_holds_up_a_child_once_and_for_a_moment_only(tmp_path):
    done = _run(
        tmp_path,
        tmp_path / "store.db",
        ADDED
        + """
import sqlite3
lock = sqlite3.connect(sys.argv[1], isolation_level=None)
if os.fork() == 0:
    time.sleep(0.2)
    waits = []
    background = logging.getLogger().handlers[-1]._background
    background.flush = lambda seconds, flush=background.flush: waits.append((seconds, flush(seconds)))
    for n in range(100): log.error("number %s", n)
    print(json.dumps(waits), flush=True)
    os._exit(0)
lock.execute("BEGIN IMMEDIATE")
os.wait()
lock.execute("ROLLBACK")
""",
    )
    assert json.loads(done.stdout) == [[0.2, False]]
