"""`failaware exec` under odd callers: the program gets what it would get without us, and always runs."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from failaware import Inspector, Store
from tests.cli.test_exec import LONG, errors, event, line, run, running, shell
from tests.sizes import sized

pytestmark = pytest.mark.sqlite("about the program, not the store")


def status_of(script, *words, check=False, **more):
    """What a shell says that runs our command line as the script's $1."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *words], capture_output=True, text=True, timeout=LONG, check=check, **more
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


def ignoring(name):
    """For the caller's process, before it runs us; dash takes `trap '' CHLD` for nothing."""
    return lambda: signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)


@pytest.mark.parametrize("status", [0, 7])
@pytest.mark.large
def test_a_caller_that_ignores_its_children_hears_how_the_program_ended(path, status):
    assert run(path, *shell(f"exit {status}"), preexec_fn=ignoring("CHLD")).returncode == status
    assert event(path).sync_status == ("DEAD" if status else "SYNCED")


def test_a_handler_hears_how_its_own_children_ended_though_our_caller_ignores_them(path, tmp_path):
    (tmp_path / "h.py").write_text(
        "import subprocess\nfrom failaware import Handlers, Retry\nhandlers = Handlers()\n"
        "@handlers.on('a', retry=Retry(max_attempts=1))\n"
        "def a(event): subprocess.run(['false'], check=True)\n"
    )
    with Store.open(path) as store:
        store.record("a")
    command = [sys.executable, "-m", "failaware", "--db", str(path), "run", "h", "--until-idle"]
    subprocess.run(command, preexec_fn=ignoring("CHLD"), cwd=tmp_path, capture_output=True, timeout=LONG, check=True)
    assert [error for error, _ in errors(path)] == ["subprocess.CalledProcessError"]


@pytest.mark.thinned
@pytest.mark.parametrize("name", ["CHLD", "INT", "TERM", "HUP", "QUIT", "USR1"])
def test_what_the_caller_ignores_the_program_ignores(path, name):
    show = ["--", "grep", "SigIgn", "/proc/self/status"]
    mask = int(run(path, *show, preexec_fn=ignoring(name)).stdout.split()[1], 16)
    assert mask & ~(0b11 << 31) == 1 << (getattr(signal, f"SIG{name}") - 1)  # 32 and 33 are the C library's own


@pytest.mark.large
def test_a_folder_that_is_gone_does_not_keep_the_program_from_running(path, tmp_path):
    (tmp_path / "release").mkdir()
    leave = 'cd release; rmdir ../release; exec "$@"'
    done = status_of(leave, *line(path, "--", "/bin/echo", "it runs"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "it runs\n")
    assert str(tmp_path / "release") in event(path).event_payload

    relative = status_of(leave, *line("store.db", "--", "/bin/echo", "runs"), cwd=_again(tmp_path))
    assert (relative.returncode, relative.stdout) == (0, "runs\n")
    assert relative.stderr.startswith("failaware: this run is not recorded: ")
    assert relative.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["./nightly", "nightly"])
def test_a_script_without_an_interpreter_line_is_run_by_sh_as_cron_would(path, tmp_path, monkeypatch, name):
    (tmp_path / "nightly").write_text('echo "$1" from the script\nexit 4\n')
    (tmp_path / "nightly").chmod(0o755)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "nightly").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{tmp_path}:{tmp_path / 'later'}:{os.environ['PATH']}")
    done = run(path, "--", name, "hello", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, b"hello from the script\n")


def test_a_binary_of_another_machine_is_not_read_as_a_script(path, tmp_path):
    (tmp_path / "program").write_bytes(b"\x7fELF\x00\x00exit 0\n")
    (tmp_path / "program").chmod(0o755)
    done = run(path, "--", "./program", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (126, b"failaware: ./program: cannot be run: Exec format error\n")


def _again(folder):
    (folder / "release").mkdir()
    return folder


@pytest.mark.parametrize("redirection", [">{0} 2>&1", ">>{0} 2>>{0}"])
@pytest.mark.large
def test_lines_of_both_streams_keep_their_order_in_one_file(path, tmp_path, redirection):
    script = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; exit 3"
    into = redirection.format(tmp_path / "log")
    assert status_of(f'exec "$@" {into}', *line(path, *shell(script))).returncode == 3
    written = (tmp_path / "log").read_text()
    assert written == "".join(f"out {n}\nerr {n}\n" for n in range(1, 6))
    assert event(path).attempts[0].traceback == "── end of output, exit status 3\n" + written.rstrip()


def test_streams_that_lose_no_order_are_kept_apart(path):
    status_of('exec "$@" >/dev/null 2>&1', *line(path, *shell("echo wrong >&2; echo fine; exit 3")))
    assert errors(path) == [("ExitStatus", "exit status 3: wrong")]


@pytest.mark.parametrize("given", [{}, {"LC_CTYPE": "C"}, {"LC_CTYPE": "C.UTF-8"}, {"LANG": "C", "X": ""}])
@pytest.mark.thinned
def test_the_environment_is_the_callers(path, given):
    environment = {"PATH": os.environ["PATH"], **given}
    done = run(path, "--", "env", env=environment)
    assert dict(entry.split("=", 1) for entry in done.stdout.decode().splitlines()) == environment


def test_a_reader_that_made_our_output_non_blocking_gets_all_of_it(path):
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    program = "import sys; sys.stdout.write('x' * 3_000_000)"
    with subprocess.Popen(line(path, "--", sys.executable, "-c", program), stdout=theirs) as process:
        os.close(theirs)
        with open(ours, "rb") as file:
            assert len(file.read()) == 3_000_000
    assert process.returncode == 0


def test_a_full_disk_does_not_end_the_program(path):
    done = status_of('exec "$@" >/dev/full', *line(path, *shell("echo x; echo y; exit 5")))
    assert done.returncode == 5
    assert done.stderr == "failaware: the program's output cannot be forwarded: No space left on device\n"


@pytest.mark.parametrize("files", range(6, 16, sized(3, 1)))
@pytest.mark.thinned
def test_few_descriptors_do_not_keep_the_program_from_running(path, files):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    done = run(path, "--", "/bin/sh", "-c", "echo hi; exit 4", preexec_fn=limit)
    assert (done.returncode, done.stdout) == (4, b"hi\n")
    assert b"Traceback" not in done.stderr


def test_the_mask_of_new_files_is_the_callers(path):
    assert status_of('umask 027; exec "$@"', *line(path, *shell("umask")), check=True).stdout.strip() == "0027"


def test_signals_that_mean_something_to_the_program_are_relayed_and_end_nothing(path):
    script = "trap 'echo reloaded' USR1; echo ready; while read line; do exit 6; done; while read line; do exit 6; done"
    with running(path, *shell(script), stdin=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == b"reloaded\n"
        process.communicate(b"\n\n", timeout=LONG)
    assert process.returncode == 6


def test_a_stopped_program_ends_at_its_time_limit(path):
    done = run(path, "--timeout", "0.2s", *shell("kill -STOP $$"), start_new_session=True)
    assert done.returncode == 124


def test_what_cannot_be_described_is_recorded_all_the_same(path, monkeypatch):
    from failaware.cli.main import main

    def broken(*_, **__):
        raise RecursionError

    monkeypatch.setattr("failaware.worker.exec.describe_end", broken)
    assert main(["--db", str(path), "exec", "--", "false"]) == 1
    with Inspector.open(path) as inspector:
        assert inspector.event(1).sync_status == "DEAD"


def test_the_program_keeps_what_it_is_given_in_proc(path):
    """No file of ours is left open in it."""
    done = run(path, "--", sys.executable, "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))")
    plain = subprocess.run(
        [sys.executable, "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"], capture_output=True, check=True
    )
    assert done.stdout == plain.stdout
    assert Path("/proc").exists()
