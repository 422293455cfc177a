"""`failaware systemd`: the unit files, as systemd reads them, and what is recorded of a failed unit.

No systemd runs where the tests do: systemctl and journalctl are stand-ins that print what the real ones print.
"""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from failaware.integrations.systemd import record
from tests.cli.test_commands import failaware

pytestmark = pytest.mark.sqlite("about systemd, not the store")

INVOCATION = "0c5c0d5d3a4b4f6c8f6ad0c2b1f0a9e7"
SECOND = 1_000_000
TRACEBACK = """\
starting
Traceback (most recent call last):
  File "/srv/import.py", line 7, in <module>
    main()
  File "/srv/import.py", line 4, in main
    raise ValueError("no rows in orders.csv")
ValueError: no rows in orders.csv
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts programs of systemd in place: what `systemctl show` and `journalctl FIELD=INVOCATION` print."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(show="", journal="", *, field="_SYSTEMD_INVOCATION_ID", status=0):
        (tmp_path / "show").write_text(show)
        (tmp_path / "journal").write_text(journal)
        programs = {
            "systemctl": f'echo "$@" >> {tmp_path}/called\n[ "$1" = show ] && cat {tmp_path}/show\nexit {status}\n',
            "journalctl": f"for last; do :; done\n[ $last = {field}={INVOCATION} ] || exit 0\ncat {tmp_path}/journal\n",
        }
        for name, script in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}")
            (folder / name).chmod(0o755)

    return put


def shown(*, result="exit-code", code=1, status=1, started=0, ended=0, invocation=INVOCATION):
    return (
        f"Description=import the orders of the day\nResult={result}\nExecMainCode={code}\nExecMainStatus={status}\n"
        f"NRestarts=3\nInvocationID={invocation}\nExecMainStartTimestampMonotonic={started}\n"
        f"ExecMainExitTimestampMonotonic={ended}\n"
    )


def payload(event):
    return json.loads(event.event_payload)


def recorded(store, inspector, environ=()):
    """The event of a failed unit, and its attempt."""
    event = inspector.event(record(store, "import.service", environ=dict(environ)))
    return event, event.attempts[0]


def test_a_unit_that_failed_is_an_event_with_its_journal(store, inspector, stand_in):
    stand_in(shown(), TRACEBACK)
    event, attempt = recorded(store, inspector)
    assert (event.event_type, event.source, event.sync_status) == ("import.service", "systemd", "DEAD")
    assert (attempt.error_type, attempt.error_message) == ("ValueError", "no rows in orders.csv")
    assert 'File "/srv/import.py", line 4, in main' in attempt.traceback
    assert payload(event)["description"] == "import the orders of the day"
    assert [payload(event)[name] for name in ("result", "exit_status", "restarts")] == ["exit-code", 1, 3]
    assert payload(event)["invocation"] == INVOCATION


@pytest.mark.parametrize(
    ("show", "journal", "error_type", "message"),
    [
        (shown(status=75), "tar: /mnt/backup: no such directory\n", "ExitStatus",
         "exit status 75: tar: /mnt/backup: no such directory"),
        (shown(result="signal", code=2, status=11), "loading\n", "Killed", "killed by SIGSEGV"),
        (shown(result="core-dump", code=3, status=6), "", "Killed", "killed by SIGABRT"),
        (shown(result="timeout", code=2, status=15), "waiting\n", "Timeout", "timeout: killed by SIGTERM"),
        (shown(result="timeout", code=1, status=0), "waiting\n", "Timeout", "timeout"),
        (shown(result="oom-kill", code=2, status=9), "", "OomKill", "oom-kill: killed by SIGKILL"),
        (shown(result="watchdog", code=2, status=6), "", "Watchdog", "watchdog: killed by SIGABRT"),
        (shown(result="resources", code=0, status=0), "", "Resources", "resources"),
    ],
)  # fmt: skip
def test_how_a_unit_ended(store, inspector, clock, stand_in, show, journal, error_type, message):
    stand_in(show, journal)
    _, attempt = recorded(store, inspector)
    assert (attempt.error_type, attempt.error_message) == (error_type, message)
    assert attempt.started_at == attempt.finished_at == clock()  # nothing is known of its times
    assert journal.strip() in (attempt.traceback or "")


def test_the_variables_of_the_failure_count_more_than_the_present_state(store, inspector, stand_in):
    stand_in(shown(invocation="a later one", status=0, result="success"), "Segmentation fault\n")
    given = {
        "MONITOR_UNIT": "import.service",
        "MONITOR_INVOCATION_ID": INVOCATION,
        "MONITOR_SERVICE_RESULT": "core-dump",
        "MONITOR_EXIT_CODE": "dumped",
        "MONITOR_EXIT_STATUS": "SEGV",
    }
    event, attempt = recorded(store, inspector, given.items())
    assert (attempt.error_message, payload(event)["result"]) == ("killed by SIGSEGV", "core-dump")
    assert payload(event)["invocation"] == INVOCATION
    assert "Segmentation fault" in attempt.traceback


def test_variables_of_another_unit_are_not_believed(store, inspector, stand_in):
    stand_in(shown(status=3))
    given = {"MONITOR_UNIT": "mail.service", "MONITOR_EXIT_STATUS": "7", "MONITOR_INVOCATION_ID": "x"}
    event, attempt = recorded(store, inspector, given.items())
    assert (attempt.error_message, payload(event)["invocation"]) == ("exit status 3", INVOCATION)


def test_each_invocation_is_recorded_once(store, inspector, stand_in):
    stand_in(shown())
    first, _ = recorded(store, inspector)
    again, _ = recorded(store, inspector)
    assert (again.event_id, len(again.attempts)) == (first.event_id, 1)
    stand_in(shown(invocation="f" * 32))
    assert recorded(store, inspector)[0].event_id != first.event_id


def test_it_has_the_times_of_the_process(store, inspector, stand_in, clock):
    uptime = time.monotonic_ns() // 1_000
    stand_in(shown(started=max(1, uptime - 90 * SECOND), ended=max(2, uptime - 30 * SECOND)))
    _, attempt = recorded(store, inspector)
    assert attempt.finished_at - attempt.started_at == 60 * SECOND
    assert attempt.finished_at == pytest.approx(clock() - 30 * SECOND, abs=20 * SECOND)


def test_a_unit_that_never_ran_has_what_systemd_says_of_it(store, inspector, stand_in):
    stand_in(shown(status=203), "import.service: Failed to locate executable /srv/imp: No such file or directory\n",
             field="INVOCATION_ID")  # fmt: skip
    _, attempt = recorded(store, inspector)
    assert "Failed to locate executable /srv/imp" in attempt.error_message


def test_secrets_in_the_journal_are_masked(store, inspector, stand_in):
    stand_in(shown(), "login failed: password=hunter2-but-longer\n")
    event, attempt = recorded(store, inspector)
    assert "hunter2" not in str((event, attempt))


def test_without_the_programs_of_systemd_it_is_recorded_nevertheless(store, inspector, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    event, attempt = recorded(store, inspector)
    assert (event.sync_status, attempt.error_type) == ("DEAD", "Failed")
    assert payload(event)["journal"].startswith("not read")


def test_the_command_records(tmp_path, stand_in):
    stand_in(shown(), TRACEBACK)
    done = failaware("systemd", "record", "--", "import.service", db=tmp_path / "f.db")
    assert (done.returncode, done.stdout, done.stderr) == (0, "import.service failed: event 1\n", "")
    assert "ValueError: no rows" in failaware("event", "1", db=tmp_path / "f.db").stdout


def installed(tmp_path, *words, **more):
    return failaware("systemd", *words, db=tmp_path / "f.db", XDG_CONFIG_HOME=str(tmp_path / "config"), **more)


def written(tmp_path):
    folder = tmp_path / "config" / "systemd" / "user"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_install_shows_what_it_writes_and_uninstall_removes_all_of_it(tmp_path, stand_in):
    stand_in()
    printed = installed(tmp_path, "print", "--user")
    assert not (tmp_path / "config").exists()
    assert not (tmp_path / "f.db").exists()
    done = installed(tmp_path, "install", "--user")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(printed.stdout)
    assert "OnFailure=failaware-failed@%n.service" in written(tmp_path)["service.d/failaware.conf"]
    recorder = written(tmp_path)["failaware-failed@.service"]
    assert f'"--db" "{tmp_path}/f.db" systemd record --user -- %i' in recorder
    assert (tmp_path / "f.db").exists()
    assert installed(tmp_path, "install", "--user").returncode == 0  # again
    assert (tmp_path / "called").read_text() == "--user daemon-reload\n" * 2
    assert installed(tmp_path, "uninstall", "--user").returncode == 0
    assert written(tmp_path) == {}
    assert list((tmp_path / "config" / "systemd" / "user").iterdir()) == []
    assert "nothing" in installed(tmp_path, "uninstall", "--user").stdout


def test_files_of_others_are_left_alone(tmp_path, stand_in):
    stand_in()
    mine = tmp_path / "config" / "systemd" / "user" / "service.d" / "failaware.conf"
    mine.parent.mkdir(parents=True)
    mine.write_text("[Unit]\n")
    done = installed(tmp_path, "install", "--user")
    assert (done.returncode, len(written(tmp_path))) == (2, 1)
    assert "is not of failaware" in done.stderr
    installed(tmp_path, "uninstall", "--user")
    assert mine.read_text() == "[Unit]\n"


def test_a_systemd_that_cannot_be_reloaded_is_a_sentence(tmp_path, stand_in):
    stand_in(status=1)
    done = installed(tmp_path, "install", "--user")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "systemctl --user daemon-reload" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["record"], "write 'failaware systemd record UNIT'"),
        (["install", "import.service"], "without a unit"),
        (["--db", "postgresql://me:hunter2@db.example/shop", "print"], "write the password into .pgpass"),
    ],
)
def test_wrong_lines_are_refused(tmp_path, words, sentence):
    done = failaware("systemd", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert sentence in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_reads_the_files(tmp_path):
    store = tmp_path / 'a "store" of 50 %$.db'
    assert failaware("systemd", "install", "--root", str(tmp_path / "root"), db=store).returncode == 0
    folder = tmp_path / "root" / "etc" / "systemd" / "system"
    (folder / "import.service").write_text(f"[Service]\nType=oneshot\nExecStart={sys.executable} -V\n")

    def load(unit):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False,
            env=os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_LOG_LEVEL": "debug"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "failaware-failed@import.service.service" in load("import.service")  # it will be started
    own = load("failaware-failed@import.service.service")
    assert f"Skipping overridden file '{folder}/service.d/failaware.conf'" in own
    assert "failaware-failed@failaware-failed@" not in own  # a failure to record is not recorded again
