"""`failaware serve -- PROGRAM`: the program reports here, and ends as if it had been started alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from failaware import Inspector
from tests import processes
from tests.cli.test_commands import failaware

pytestmark = pytest.mark.sqlite("a file is enough here")
SERVE = ["serve", "--listen", "0"]
SENTRY = """
import sentry_sdk
sentry_sdk.init()
try:
    {"card": 1}["amount"]
except KeyError as error:
    sentry_sdk.capture_exception(error)
"""


def python(path, program, *words, **env):
    command = [
        sys.executable,
        "-m",
        "failaware",
        "--db",
        str(path),
        *SERVE,
        *words,
        "--",
        sys.executable,
        "-c",
        program,
    ]
    environment = {**os.environ, **env}
    return processes.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


@pytest.mark.large
def test_a_program_with_the_sdk_of_sentry_reports_unchanged(path):
    done = python(path, SENTRY)
    assert (done.returncode, done.stdout) == (0, "")
    assert "1 recorded" in done.stderr
    with Inspector.open(path) as inspector:
        (event,) = inspector.events()
        assert (event.last_error_type, event.last_error) == ("KeyError", "'amount'")


@pytest.mark.large
def test_a_program_that_reports_elsewhere_goes_on_doing_so_and_reports_here_too(path):
    done = python(path, SENTRY, SENTRY_DSN="http://key@127.0.0.1:9/1")
    assert done.returncode == 0
    with Inspector.open(path) as inspector:
        assert len(inspector.events()) == 1


@pytest.mark.parametrize(
    ("program", "status"), [("", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_its_exit_status_and_output_are_the_programs(path, program, status):
    done = python(path, f"print('out'); import sys; sys.stdout.flush(); {program}")
    assert (done.returncode, done.stdout) == (status, "out\n")


@pytest.mark.parametrize(("command", "status"), [("/no/such/program", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_started(path, command, status):
    done = failaware(*SERVE, "--", command, db=path)
    assert done.returncode == status
    assert "cannot be started" in done.stderr


def test_a_key_reaches_the_program(path):
    show = "import os, json; print(json.dumps(dict(os.environ)))"
    done = python(path, show, FAILAWARE_KEY="0123456789abcdef")
    environment = json.loads(done.stdout)
    assert environment["SENTRY_DSN"].startswith("http://0123456789abcdef@127.0.0.1:")
    assert environment["OTEL_EXPORTER_OTLP_HEADERS"] == "authorization=Bearer%200123456789abcdef"
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == environment["FAILAWARE_URL"]


def test_signals_reach_the_program(path):
    program = "import signal, time\nsignal.signal(15, lambda *_: exit(5))\nprint('ready', flush=True)\ntime.sleep(60)"
    command = [sys.executable, "-m", "failaware", "--db", str(path), *SERVE, "--", sys.executable, "-c", program]
    process = processes.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 5
    process.communicate()


def test_each_failure_is_a_line_and_what_is_skipped_is_counted(path):
    command = [sys.executable, "-m", "failaware", "--db", str(path), *SERVE]
    process = processes.Popen(command, stderr=subprocess.PIPE, text=True)
    url = process.stderr.readline().split()[3]
    bad, good = '{"type": "backup\\u001b[31m"}', '{"type": "backup", "error": {"message": "disk\\u001b[2J full"}}'
    lines = f"{bad}\n{good}"
    for _ in range(2):
        processes.run(["curl", "-s", f"{url}/events", "-d", lines], check=True, capture_output=True, timeout=120)
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, text = process.communicate(timeout=120)
    assert text.count("backup  Error: disk\\x1b[2J full") == 2
    assert "\x1b" not in text
    assert text.splitlines()[-1].endswith("2 rejected, 0 requests refused")


def test_what_is_skipped_is_told_within_a_second_or_two(path):
    command = [sys.executable, "-m", "failaware", "--db", str(path), *SERVE]
    process = processes.Popen(command, stderr=subprocess.PIPE, text=True)
    lines = iter(process.stderr.readline, "")
    url = next(lines).split()[3]
    processes.run(["curl", "-s", f"{url}/v1/metrics", "-d", "{}"], check=True, capture_output=True, timeout=120)
    assert next(line for line in lines if "skipped" in line).split()[1:] == ["otlp", "1", "skipped:", "no", "failures"]
    process.terminate()
    process.communicate(timeout=120)


@pytest.mark.large
def test_it_takes_little_memory_while_it_waits(path):
    command = [sys.executable, "-m", "failaware", "--db", str(path), "serve", "--listen", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        url = process.stderr.readline().split()[3]
        processes.run(
            ["curl", "-s", f"{url}/events", "-d", '{"type": "a"}'], check=True, capture_output=True, timeout=120
        )
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
        process.communicate(timeout=120)
    assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 60 * 1_024
