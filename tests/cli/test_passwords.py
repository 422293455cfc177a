"""A password in a store's URL is shown by no command, and by no error of one."""

import os
import signal
import sys

import pytest

from failaware.cli.commands import COMMANDS
from failaware.cli.main import main
from failaware.text import shown_place
from tests import processes
from tests.cli.test_terminal import Terminal
from tests.worker.helpers import eventually

SECRET = "hunter2secret"
NOWHERE = f"postgresql://me:{SECRET}@127.0.0.1:1/nowhere?connect_timeout=2&sslpassword={SECRET}"
WORDS = {
    "systemd": ["record", "shop.service"],  # of the commands that take any
    "cluster": ["1"], "event": ["1"], "attempt": ["1"], "explain": ["event/1"], "diff": ["1h"], "fingerprint": ["text"],
    "requeue": ["1", "--because", "r"], "dismiss": ["1", "--because", "r"], "erase": ["1", "--because", "r"],
    "merge": ["1", "2", "--because", "r"], "split": ["1", "--by", "frame", "--because", "r"],
    "undo": ["1", "--because", "r"],
    "ingest": [os.devnull], "restore": [os.devnull],
    "run": ["sample_data.handlers"], "exec": ["--", "true"], "copy": [NOWHERE, f"{NOWHERE}&x="],
    "completion": ["bash"], "help": ["filters"], "archive": ["--before", "1d", "--to", "old.db", "--because", "r"],
}  # fmt: skip


def stderr_of(capfd):
    out = "".join(capfd.readouterr())
    assert SECRET not in out
    return out


@pytest.fixture
def url(path):
    """The test's own store, by an address with a password, which this server does not ask for."""
    return path.replace("postgres@/", f"postgres:{SECRET}@/")


@pytest.mark.parametrize("command", [one for one in COMMANDS if one not in {"demo", "tui"}])
def test_a_server_that_is_not_there(command, capfd):
    main(["--db", NOWHERE, command, *WORDS.get(command, [])])
    out = stderr_of(capfd)
    assert "cannot be reached" in out or command in {"completion", "fingerprint", "help"}


@pytest.mark.parametrize(
    "words",
    [
        ["health", NOWHERE],
        [NOWHERE],
        ["event", NOWHERE],
        ["events", NOWHERE],
        ["ingest", NOWHERE],
        ["rebuild", "--policy", NOWHERE],
        ["copy", NOWHERE, NOWHERE],
        ["--db", NOWHERE.replace("2secret@", "2sec?ret@"), "health"],
        ["--db", NOWHERE.replace("2secret@", "2sec#ret@"), "health"],
        ["--db", f"postgresql://h/db?hosst=x&password={SECRET}", "health"],
        ["--db", f"mysql://me:{SECRET}@h/db", "health"],
    ],
)
def test_an_address_that_stands_where_none_belongs_or_is_none(words, capfd):
    try:
        status = main(words)
    except SystemExit as ended:
        status = ended.code
    out = stderr_of(capfd)
    assert status == 2
    assert "hunter2sec" not in out
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    "place", ["a/b.db", "postgresql://me@h/db", "postgresql://h:5432/db", "postgresql:///db?host=/x"]
)
def test_what_holds_no_password_is_shown_as_it_is(place):
    assert shown_place(place) == place


@pytest.mark.large
@pytest.mark.postgres
def test_commands_that_say_where_the_store_is(url, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = shown_place(url)
    for words in (
        ["init"],
        ["health"],
        ["seal"],
        ["seed", "--events", "100"],
        ["run", "sample_data.handlers", "--until-idle"],
    ):
        main(["--db", url, *words])
        assert shown in stderr_of(capfd) or words[0] == "run"
    assert main(["--db", url, "seed", "--events", "100"]) == 2
    assert "the store already has events" in stderr_of(capfd)
    for words in (
        ["clusters"],
        ["events", "--limit", "2"],
        ["event", "1"],
        ["verify"],
        ["export", "--out", "all"],
        ["seal"],
    ):
        assert main(["--db", url, *words]) == 0
        stderr_of(capfd)
    assert main(["copy", url, str(tmp_path / "copy.db")]) == 0
    assert main(["copy", str(tmp_path / "copy.db"), url]) == 0
    assert shown in stderr_of(capfd)


@pytest.mark.postgres
@pytest.mark.parametrize("words", [["run", "sample_data.handlers"], ["ingest", "--follow", os.devnull]])
def test_commands_that_go_on_until_they_are_stopped(url, words, tmp_path):
    with open(tmp_path / "stderr_of", "w") as file:
        command = [sys.executable, "-m", "failaware", *words]
        process = processes.Popen(command, stdout=file, stderr=file, env={**os.environ, "FAILAWARE_DB": url})
        try:
            eventually(lambda: shown_place(url) in (tmp_path / "stderr_of").read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    assert SECRET not in (tmp_path / "stderr_of").read_text()


@pytest.mark.postgres
def test_a_report_that_is_watched(url, store):
    terminal = Terminal("health", "--watch", db=url, size=(24, 200))
    terminal.shows("Ctrl-C ends", "postgres:***@")
    assert SECRET not in terminal.output
    terminal.type("\x03")
    assert terminal.ends() == 0
    assert SECRET not in terminal.output


@pytest.mark.postgres
def test_the_inspector(url, store):
    terminal = Terminal("tui", db=url, size=(24, 200))
    terminal.shows("postgres:***@", "Nothing is recorded yet")
    assert SECRET not in terminal.output
    terminal.type("q")
    assert terminal.ends() == 0


@pytest.mark.postgres
@pytest.mark.large
def test_the_plugin_of_pytest(url, tmp_path):
    (tmp_path / "test_one.py").write_text("def test(): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:valkey", f"--failaware={url}"]
    done = processes.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert f"1 tests in {shown_place(url)}" in done.stdout
    assert SECRET not in done.stdout + done.stderr
