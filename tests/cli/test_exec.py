"""`failaware exec`: the program and its caller notice nothing, and every attempt is recorded."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from failaware import Handlers, Inspector, Store, Worker
from failaware.capture.record import Recorder
from failaware.capture.secrets.masking import Masker
from failaware.clock import now_us
from failaware.errors import StoreError
from failaware.facts import claim
from failaware.ledger.verify import verify
from failaware.worker.exec import Plan, execute
from failaware.worker.retry import Retry
from failaware.worker.subprocess_runner import SignalForwarder
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, plain, plain_sqlite

LONG = 30  # s, for what takes far less


def line(path, *words):
    return [sys.executable, "-m", "failaware", "--db", str(path), "exec", *words]


def run(path, *words, **more):
    return processes.run(line(path, *words), capture_output=True, timeout=LONG, check=False, **more)


@contextmanager
def running(path, *words, **more):
    process = processes.Popen(line(path, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    try:
        yield process
    finally:
        if process.poll() is None:  # the program that it runs would go on for ever
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
        process.kill()
        process.communicate(timeout=LONG)


def until(holds):
    deadline = time.monotonic() + LONG
    while not (value := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def event(path, event_id=1):
    with Inspector.open(path) as inspector:
        return inspector.event(event_id)


def errors(path, event_id=1):
    return [(a.error_type, a.error_message) for a in event(path, event_id).attempts]


def _is_there(path):
    try:
        Inspector.open(path).close()
    except StoreError:
        return False
    return True


def query(path, sql):
    with plain(path) as db:
        return db.execute(sql).fetchall()


def shell(script):
    return "--", "sh", "-c", script


def test_output_passes_byte_by_byte_each_to_its_own_stream(path):
    mixed = bytes(range(256)) * 5_000
    program = (
        "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data); sys.stderr.buffer.write(b'\\xff')"
    )
    done = run(path, "--", sys.executable, "-c", program, input=mixed)
    assert (done.returncode, done.stdout, done.stderr) == (0, mixed, b"\xff")
    assert (event(path).sync_status, event(path).event_type) == ("SYNCED", os.path.basename(sys.executable))


def test_output_passes_at_once(path):
    with running(path, *shell("printf now; read more; echo $more"), stdin=subprocess.PIPE) as process:
        assert process.stdout.read(3) == b"now"  # the program is still waiting
        out, _ = process.communicate(b"later\n", timeout=LONG)
        assert (out, process.returncode) == (b"later\n", 0)


@pytest.mark.parametrize(
    ("words", "status", "error_type", "message"),
    [
        (shell("echo no room >&2; exit 3"), 3, "ExitStatus", "exit status 3: no room"),
        (shell("exit 4"), 4, "ExitStatus", "exit status 4"),
        (shell("kill -SEGV $$"), 139, "Killed", "killed by SIGSEGV"),
        (("--", "no-such-program"), 127, "NotStarted", "no-such-program: command not found"),
        (("--", "/"), 126, "NotStarted", "/: cannot be run: Permission denied"),
        (("--timeout", "0.2s", *shell("sleep 60")), 124, "TimedOut", "not done within 0.2 s: killed by SIGTERM"),
        (("--timeout", "0.2s", *shell("trap 'exit 0' TERM; sleep 60 & wait")), 124, "TimedOut", None),
    ],
)
def test_each_end_has_the_exit_status_of_a_shell_and_a_type_of_its_own(path, words, status, error_type, message):
    done = run(path, *words)
    assert done.returncode == status
    assert event(path).sync_status == "DEAD"
    ((kept_type, kept_message),) = errors(path)
    assert kept_type == error_type
    assert message in {kept_message, None}
    if error_type == "NotStarted":
        assert done.stderr.decode() == f"failaware: {message}\n"


def test_arguments_are_verbatim_and_kept_without_their_secrets(path, tmp_path):
    words = ["--", "--health", "-type:x", "a b", "$HOME", b"\xff", "--password", "tr0ub4dor"]
    show = "import os, sys; sys.stdout.buffer.write(b'|'.join(map(os.fsencode, sys.argv[1:])))"
    done = run(path, "--", sys.executable, "-c", show, *words, cwd=tmp_path)
    assert done.stdout == b"--|--health|-type:x|a b|$HOME|\xff|--password|tr0ub4dor"
    kept = json.loads(event(path).event_payload)
    assert kept["argv"][3:] == ["--", "--health", "-type:x", "a b", "$HOME", "\udcff", "--password", "[masked]"]
    assert kept["cwd"] == str(tmp_path)
    assert kept["host"]


def test_the_backup_of_the_sample_data(path, tmp_path):
    backup = Path(__file__).parents[2] / "sample_data" / "inputs" / "backup.sh"
    words = ("--max-attempts", "2", "--backoff", "0.01s", "--", str(backup), "disk")
    assert run(path, *words, cwd=tmp_path).returncode == 75
    assert errors(path)[1] == ("ExitStatus", "exit status 75: tar: disk: Cannot open: No such file or directory")
    (tmp_path / "disk").mkdir()
    assert run(path, *words, cwd=tmp_path).returncode == 0


def test_it_is_tried_again_until_it_succeeds(path, tmp_path):
    script = "echo x >> runs; test $(wc -l < runs) -ge 3 || { echo not yet >&2; exit 75; }"
    done = run(path, "--max-attempts", "5", "--backoff", "0.01s", "--type", "t", *shell(script), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"not yet\n" * 2)
    recorded = event(path)
    assert (recorded.sync_status, [a.outcome for a in recorded.attempts]) == ("SYNCED", ["FAILED", "FAILED", "SYNCED"])
    first, second, _ = recorded.attempts
    assert first.retry_reason.startswith("attempt 1 of 5: 0.01 s")
    assert second.started_at >= first.retry_at
    assert query(path, "SELECT * FROM lease") == []
    with Store.open(path) as store:
        assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize(
    ("words", "attempts_made", "because"),
    [
        (("--retry-on", "75,100-110", *shell("exit 105")), 2, "2 of 2 attempts used"),
        (("--retry-on", "75", *shell("exit 2")), 1, "exit status 2 is not one to try again on"),
        (("--retry-on", "137", *shell("kill -KILL $$")), 2, "2 of 2 attempts used"),
        (("--", "no-such-program"), 1, "it cannot be started: trying again cannot help"),
        (("--retry-on", "127", "--", "no-such-program"), 2, "2 of 2 attempts used"),
    ],
)
def test_what_is_tried_again_can_be_chosen(path, words, attempts_made, because):
    run(path, "--max-attempts", "2", "--backoff", "0.01s", *words)
    attempts = event(path).attempts
    assert (len(attempts), attempts[-1].retry_reason) == (attempts_made, because)


def test_a_python_traceback_gives_its_own_type_message_and_root_cause(path):
    program = (
        "try:\n    {}['order 17']\nexcept KeyError as e:\n"
        "    try:\n        raise ConnectionError('no route to 10.0.0.7') from e\n"
        "    except ConnectionError as f:\n        raise RuntimeError('sync of 4711 failed') from f"
    )
    run(path, "--type", "t", "--", sys.executable, "-c", program)
    (attempt,) = event(path).attempts
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "sync of 4711 failed")
    assert attempt.cause == "KeyError: 'order 17'"
    assert "line 5, in <module>" in attempt.traceback


def test_failures_that_differ_in_numbers_only_are_one_cluster(path):
    for number in (17, 42):
        run(path, "--type", "t", *shell(f"echo starting; echo 'pg_dump: error: job {number} failed' >&2; exit 1"))
    assert query(path, "SELECT event_type, error_type, template, events FROM failure_cluster") == [
        ("t", "ExitStatus", "exit status 1: pg_dump: error: job <n> failed", 2)
    ]


def test_the_end_of_the_output_is_kept_bounded_masked_and_legible(path):
    program = (
        "import sys\nfor n in range(20_000): print('row', n)\n"
        "print('\\x1b[31mlogin with password=tr0ub4dor\\x1b[0m', file=sys.stderr)\n"
        "print('10 %\\r90 %', file=sys.stderr)\nsys.exit(2)"
    )
    done = run(path, "--", sys.executable, "-c", program)
    assert done.stdout.count(b"\n") == 20_000
    kept = event(path).attempts[0].traceback
    assert "row 19999" in kept
    assert "row 10000\n" not in kept
    assert len(kept) < 40_000
    assert "tr0ub4dor" not in kept
    assert kept.endswith("[masked]\n90 %")


@pytest.fixture(autouse=True)
def _heeded():
    """Under nohup SIGHUP is ignored by all that the tests start, and in the background of a shell SIGINT."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGINT)}
    yield
    for number, action in before.items():
        signal.signal(number, action)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_are_passed_on_and_nothing_is_tried_after_one(path, name):
    script = f"trap 'echo got it; exit 7' {name[3:]}; echo ready; while :; do sleep 0.01; done"
    with running(path, "--max-attempts", "3", "--backoff", "0.01s", *shell(script), start_new_session=True) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(getattr(signal, name))
        out, _ = process.communicate(timeout=LONG)
        assert (out, process.returncode) == (b"got it\n", 7)
    (attempt,) = event(path).attempts
    assert (attempt.error_type, attempt.retry_reason) == ("ExitStatus", f"{name} received: it is not run again")


def test_a_signal_for_the_program_that_comes_while_it_is_started_reaches_it():
    signals = SignalForwarder()
    script = "trap 'echo reloaded; exit 3' USR1; echo ready; while :; do sleep 0.05; done"
    with signals.watched():
        with signals.starting():
            program = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
            assert program.stdout.readline() == b"ready\n"
            os.kill(os.getpid(), signal.SIGUSR1)
        with signals.forward_to(program):
            assert program.communicate(timeout=30) == (b"reloaded\n", None)
        os.kill(os.getpid(), signal.SIGUSR2)  # between attempts
    assert program.returncode == 3


@pytest.mark.parametrize(
    ("name", "when", "times"),
    [
        ("SIGINT", "before", 1),
        ("SIGINT", "while it starts", 0),
        ("SIGTERM", "while it starts", 1),
        ("SIGTERM", "later", 1),
    ],
)
def test_what_the_terminal_gives_a_program_that_starts_is_not_passed_on(monkeypatch, name, when, times):
    monkeypatch.setattr("failaware.worker.subprocess_runner.in_foreground", lambda: True)
    number, interrupts = getattr(signal, name), SignalForwarder()
    program = (
        "import signal, sys\ncame = []\nfor number in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(number, lambda *_: came.append(1))\n"
        "print('ready', flush=True)\nsys.stdin.read()\nprint(len(came))"
    )
    with interrupts.watched():
        if when == "before":
            os.kill(os.getpid(), number)
        with interrupts.starting():
            process = processes.Popen(
                [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
            )
            assert process.stdout.readline() == b"ready\n"
            if when == "while it starts":
                os.kill(os.getpid(), number)
        with interrupts.forward_to(process):
            if when == "later":
                os.kill(os.getpid(), number)
            assert process.communicate(timeout=LONG)[0] == f"{times}\n".encode()


def test_ctrl_c_at_a_terminal_reaches_the_program_once(path, tmp_path):
    program = (
        "import signal, time\ncame = []\nsignal.signal(signal.SIGINT, lambda *_: came.append(1))\n"
        "print('ready', flush=True)\nwhile not came: time.sleep(0.01)\n"
        "time.sleep(0.3)\nopen('came', 'w').write(str(len(came)))\nraise SystemExit(9)"
    )
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-c", spawn, *line(path, "--", sys.executable, "-c", program)]
    with processes.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert b"ready" in process.stdout.readline()
        process.stdin.write(b"\x03")
        process.stdin.flush()
        assert process.wait(LONG) == 9
    assert (tmp_path / "came").read_text() == "1"
    assert event(path).attempts[0].retry_reason == "SIGINT received: it is not run again"


def test_a_hangup_that_nohup_ignores_reaches_nobody(path):
    command = ["nohup", *line(path, *shell("echo ready; read more; exit 5"))]
    process = processes.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGHUP)
    process.communicate(b"\n", timeout=LONG)
    assert process.returncode == 5


def test_a_signal_between_attempts_ends_it_and_the_record_says_so(path):
    with running(path, "--max-attempts", "3", "--backoff", "1h", *shell("exit 3")) as process:
        until(lambda: _is_there(path) and query(path, "SELECT 1 FROM attempt_log"))
        assert event(path).sync_status == "FAILED"
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 143
    recorded = event(path)
    assert (recorded.sync_status, recorded.attempts[-1].error_type) == ("DEAD", "Interrupted")
    assert "SIGTERM" in recorded.attempts[-1].retry_reason


def test_a_time_limit_stops_what_the_program_started_too(path, tmp_path):
    script = "sleep 60 & echo $! > pid; wait"
    run(path, "--timeout", "0.3s", *shell(script), cwd=tmp_path, start_new_session=True)
    left = int((tmp_path / "pid").read_text())
    until(lambda: not Path(f"/proc/{left}").exists() or " Z " in Path(f"/proc/{left}/stat").read_text())


@pytest.mark.tour
def test_what_the_program_leaves_running_does_not_hold_it_up(path):
    began = time.monotonic()
    assert run(path, *shell("echo done; sleep 20 &")).stdout == b"done\n"
    assert time.monotonic() - began < 10
    assert len(processes.end_those_left(grace_s=0)) == 1  # the program's sleep


def test_a_reader_that_has_enough_ends_the_program(path):
    command = shlex.join(line(path, "--", "yes"))
    done = processes.run(f"{command} | head -n 1", shell=True, capture_output=True, timeout=LONG, check=False)
    assert (done.stdout, done.stderr) == (b"y\n", b"")
    assert errors(path) == [("Killed", "killed by SIGPIPE")]


def test_without_standard_streams_the_program_runs_and_nothing_else_gets_its_output(path):
    program = "import os; os.write(1, b'hi'); os.write(2, b'no luck'); raise SystemExit(3)"
    words = " ".join(f"'{word}'" for word in line(path, "--", sys.executable, "-c", program.replace("'", '"')))
    done = processes.run(["sh", "-c", f"{words} <&- >&- 2>&-"], timeout=LONG, check=False)
    assert done.returncode == 3
    assert errors(path) == [("ExitStatus", "exit status 3: no luck")]
    assert verify(path).findings == ()


@pytest.mark.parametrize("kind", ["no folder", "not a store", "newer"])
def test_a_store_that_cannot_be_written_changes_nothing_for_the_program(tmp_path, kind):
    place = tmp_path / "store.db"
    if kind == "no folder":
        place = tmp_path / "missing" / "store.db"
    elif kind == "not a store":
        place.write_text("no database " * 500)
    else:
        Store.open(place).close()
        with plain_sqlite(place) as db:
            db.execute("PRAGMA user_version = 99")
    done = run(place, "--max-attempts", "2", "--backoff", "0.01s", *shell("echo out; echo err >&2; exit 9"))
    assert (done.returncode, done.stdout) == (9, b"out\n" * 2)
    messages = [text for text in done.stderr.decode().splitlines() if text != "err"]
    assert len(messages) == 1
    assert messages[0].startswith("failaware: this run is not recorded: ")
    assert done.stderr.count(b"err\n") == 2


@pytest.mark.tour
@pytest.mark.sqlite("another program that holds the file")
def test_a_locked_store_holds_up_neither_the_program_nor_its_record(path, tmp_path):
    Store.open(path).close()
    with plain_sqlite(path) as db:
        db.execute("BEGIN IMMEDIATE")
        with running(
            path, *shell("touch began; while ! test -e go; do sleep 0.01; done; exit 4"), cwd=tmp_path
        ) as process:
            until((tmp_path / "began").exists)
            db.execute("COMMIT")
            (tmp_path / "go").touch()
            assert process.wait(LONG) == 4
    assert errors(path) == [("ExitStatus", "exit status 4")]


def test_while_it_runs_no_lock_is_held_and_no_worker_takes_it(path, engine):
    handlers = Handlers()
    handled = []
    handlers.on("*")(handled.append)
    with running(
        path, "--max-attempts", "2", "--backoff", "1h", *shell("echo ready; read more; exit 3"), stdin=-1
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        for state in ("PENDING", "FAILED"):  # running, and waiting for the second attempt
            until(lambda state=state: event(path).sync_status == state)
            if engine == "sqlite":
                with plain_sqlite(path, timeout=0) as db:
                    db.execute("BEGIN EXCLUSIVE")
                    db.execute("ROLLBACK")
                    assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
            with Store.open(path, clock=lambda: now_us() + 10_000_000) as store:
                Worker(store, handlers).run(until_idle=True, patience=0)
            assert event(path).leased_by.endswith("#exec")
            if state == "PENDING":
                process.stdin.write(b"\n")
                process.stdin.flush()
    assert handled == []


@pytest.mark.parametrize("finder", ["a worker", "the next run"])
def test_one_that_is_killed_leaves_a_truthful_record(path, finder):
    with running(path, "--type", "t", "--max-attempts", "2", *shell("echo ready; read more"), stdin=-1) as process:
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        process.wait(LONG)
    recorded = event(path)
    assert (recorded.sync_status, recorded.attempts) == ("PENDING", ())
    assert re.fullmatch(rf"{os.uname().nodename}:{process.pid}#[0-9a-f]{{8}}#exec", recorded.leased_by)

    def later():
        return now_us() + 120_000_000

    handled = []
    if finder == "a worker":
        handlers = Handlers()
        handlers.on("*")(handled.append)
        with Store.open(path, clock=later) as store:
            Worker(store, handlers).run(until_idle=True, patience=0)
    else:
        new, _ = Recorder(Masker()).event("other", None, now=later())
        assert (
            execute(Plan(["true"], new, Retry()), lambda: Store.open(path, clock=later), clock=later, warn=pytest.fail)
            == 0
        )
    recorded = event(path)
    (attempt,) = recorded.attempts
    assert (recorded.sync_status, attempt.error_type) == ("DEAD", "WorkerLost")
    assert attempt.finished_at < now_us() + 61_000_000  # when its lease ran out, not when it was found
    assert handled == []
    with Store.open(path) as store:
        assert_rebuild_changes_nothing(store)


def test_leases_go_by_the_stores_clock_and_not_by_this_machines(path, tmp_path):
    """A host whose clock is ahead considers no other lost, and its own lease is no longer than any other."""
    left = "from failaware import Store; import sys; s = Store.open(sys.argv[1]); print(s.session.read(lambda db: "
    left += "db.query('SELECT leased_until FROM lease WHERE event_id = 2'))[0][0] - s.session.clock(), "
    left += "file=open(sys.argv[2], 'w'))"
    with Store.open(path) as store:
        store.record("of another host")
        now = store.session.clock()
        store.session.write(lambda db: claim.hold(db, 1, "other:1#exec", now=now, until=now + 60_000_000))
    out = tmp_path / "left"

    def ahead():
        return now_us() + 120_000_000

    new, _ = Recorder(Masker()).event("mine", None, now=ahead())
    plan = Plan([sys.executable, "-c", left, str(path), str(out)], new, Retry())
    assert execute(plan, lambda: Store.open(path), clock=ahead, warn=pytest.fail) == 0
    assert (event(path).sync_status, event(path).leased_by) == ("PENDING", "other:1#exec")
    assert 0 < int(out.read_text()) <= 60_000_000


def test_runs_with_one_key_are_attempts_at_one_event(path):
    for status in (1, 0):
        run(path, "--type", "nightly", "--key", "2026-11-24", "--source", "cron", *shell(f"exit {status}"))
    recorded = event(path)
    assert [a.outcome for a in recorded.attempts] == ["FAILED", "SYNCED"]
    assert (recorded.sync_status, recorded.source, recorded.key) == ("SYNCED", "cron", "2026-11-24")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "there is no program to run"),
        (("--type", "t", "ls"), "'ls' is not expected here; put -- before the program"),
        (("--type", "", "--", "ls"), "event type must have 1 to 512"),
        (("--max-attempts", "0", "--", "ls"), "max_attempts must be 1 or more"),
        (("--timeout", "soon", "--", "ls"), "'soon' is not a duration"),
        (("--retry-on", "300", "--", "ls"), "not a list of exit statuses"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(path, words, says):
    done = run(path, *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert not _is_there(path)
