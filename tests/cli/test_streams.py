"""Standard streams that are closed, full, broken, non-blocking or in another encoding: the work counts."""

import os
import subprocess
import sys

import pytest

from failaware import Inspector, Store
from sample_data import seed

pytestmark = pytest.mark.sqlite("about the streams, not the store")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    place = tmp_path_factory.mktemp("streams") / "store.db"
    seed(place, events=100)
    return place


def shell(script, *words, db, **more):
    """Run the command line as "$@" of a script; returns status, output, error."""
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "failaware", "--db", str(db), *words]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, **more)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("does", ["sys.stdout.close()", "sys.stdout = None", "sys.stdout = sys.stderr = None"])
def test_what_a_handler_does_to_the_streams_changes_neither_the_status_nor_the_last_line(tmp_path, does):
    (tmp_path / "h.py").write_text(
        f"import sys\nfrom failaware import Handlers\nhandlers = Handlers()\n@handlers.on('a')\ndef a(event): {does}\n"
    )
    with Store.open(tmp_path / "store.db") as store:
        store.record("a")
    done = shell('"$@"', "run", "h", "--until-idle", db=tmp_path / "store.db", cwd=tmp_path)
    assert done == (0, b"1 synced, 0 failed and due again, 0 dead, 0 pending\n", "")


WORK = [
    ("health", 0),
    ("events --json", 0),
    ("export", 0),
    ("verify", 0),
    ("severity --exit-code LOW", 1),
    ("--help", 0),
]


@pytest.mark.thinned
@pytest.mark.parametrize(("words", "status"), WORK)
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
@pytest.mark.large
def test_a_closed_output_is_silence(path, words, status, closed):
    assert shell(f'"$@" {closed}', *words.split(), db=path) == (status, b"", "")


@pytest.mark.parametrize(("words", "status"), WORK)
@pytest.mark.thinned
def test_a_reader_that_has_enough_changes_no_exit_status(path, words, status):
    code, _, error = shell('{ "$@"; echo "status $?" >&2; } | :', *words.split(), db=path)
    assert (code, error) == (0, f"status {status}\n")


@pytest.mark.thinned
@pytest.mark.parametrize(("words", "status"), WORK[:-1])
def test_a_full_disk_is_said_in_a_sentence(path, words, status):
    output = "failaware: the output could not be written: No space left on device\n"
    assert shell('"$@" >/dev/full', *words.split(), db=path) == (status or 2, b"", output)
    assert shell('"$@" >/dev/full 2>/dev/full', *words.split(), db=path) == (status or 2, b"", "")


@pytest.mark.thinned
@pytest.mark.parametrize("where", [">&-", ">/dev/full", "| :"])
@pytest.mark.parametrize(("line", "status"), [(b'{"type":"a"}', 0), (b"{", 1)])
def test_what_was_done_keeps_its_status_when_nobody_hears_of_it(tmp_path, where, line, status):
    place = tmp_path / "store.db"
    if where == "| :":
        _, _, error = shell('{ "$@"; echo $? >&2; } | :', "ingest", "-", db=place, input=line)
        assert error == f"{status}\n"
    else:
        assert shell(f'"$@" {where}', "ingest", "-", db=place, input=line)[0] == status
    with Inspector.open(place) as inspector:
        assert inspector.health().total_events == 1 - status


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("words", ["events nonsense:x", "no-such-command", "event 4711"])
@pytest.mark.thinned
def test_an_error_that_nobody_hears_has_its_status(path, where, words):
    assert shell(f'"$@" {where}', *words.split(), db=path) == (2, b"", "")


def test_a_closed_input_is_an_empty_one(tmp_path):
    status, out, _ = shell('"$@" <&-', "ingest", "-", db=tmp_path / "store.db")
    assert (status, out) == (0, b"0 recorded, 0 rejected\n")


@pytest.mark.parametrize("words", ["events --json --limit 90", "export"])
def test_an_output_that_does_not_block_gets_all_of_it(path, words):
    _, whole, _ = shell('"$@"', *words.split(), db=path)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    command = [sys.executable, "-m", "failaware", "--db", str(path), *words.split()]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        with open(ours, "rb") as file:
            assert file.read() == whole
        assert process.stderr.read() == b""


@pytest.mark.thinned
@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
@pytest.mark.parametrize("words", ["timeline", "events", "events nonsense:é"])
def test_an_encoding_that_lacks_our_characters_breaks_nothing_off(path, env, words):
    status, out, error = shell('"$@"', *words.split(), db=path, env={**os.environ, **env})
    _, whole, _ = shell('"$@"', *words.split(), db=path, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert status == (2 if "nonsense" in words else 0)
    assert "Traceback" not in error
    assert out.count(b"\n") == whole.count(b"\n")


def test_a_watch_ends_when_its_reader_does(path):
    assert shell('"$@" | head -n 1', "events", "--watch", "0.1", db=path)[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        *("events type:\udcff", "clusters \udcff", "explain event/\udcff", "event \udcff", "\udcff", "--\udcff"),
        *("diff \udcff", "events --as-of \udcff", "export --out /\udcff/x", "ingest \udcff", "run \udcff"),
        *("rebuild --policy \udcff", "cluster \udcff", "help \udcff", "--db /\udcff/x.db health", "copy /\udcff/x.db"),
        *("dismiss --because x --where type:\udcff", "archive --because x --before \udcff --to y"),
        *("fingerprint \udcff", "exec --type \udcff -- true", "exec --key \udcff -- true"),
    ],
)
@pytest.mark.thinned
def test_bytes_that_are_no_text_are_a_sentence(path, words, capfd):
    from failaware.cli.main import main

    status = main([*([] if "--db" in words else ["--db", str(path)]), *words.split()])
    out, error = capfd.readouterr()
    if status == 0:  # they are data, or a pattern that fits nothing
        assert words.startswith(("events type", "clusters", "fingerprint"))
        assert "\\udcff" in out or "No " in out
    else:
        assert (status, error.count("\n")) == (2, 1)
