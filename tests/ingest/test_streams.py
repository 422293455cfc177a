"""Inputs as they come: pipes, signals, endless lines, what is no text, and files that are not what they seem."""

import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from itertools import chain

import pytest

from failaware import UsageError
from failaware.cli.main import main
from failaware.errors import StoreBusy
from failaware.ingest import batches, lines, reader, stream
from failaware.ingest.files import ingest_file
from failaware.ingest.lines import ingest_pieces
from failaware.ingest.stream import Input, pieces
from tests import processes
from tests.conftest import plain, query
from tests.ingest.test_follow import LONG, until

GOOD = b'{"type":"a"}\n'


def ingest(store, data):
    return ingest_file(store.session, Input(io.BytesIO(data)), origin="file")


def count(store):
    return query(store, "SELECT count(*) FROM event_log")[0][0]


def command(path, *words):
    return [sys.executable, "-m", "failaware", "--db", str(path), "ingest", "--synchronous", "NORMAL", *map(str, words)]


def piped(path):
    return processes.Popen(
        command(path, "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )


@pytest.mark.tour
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_pipe_is_recorded_as_it_comes_and_a_signal_loses_nothing(store, path, number):
    process = piped(path)
    process.stdin.write(GOOD * 3 + GOOD[:5])
    until(lambda: count(store) == 3)  # though the pipe stays open
    process.stdin.write(GOOD[5:] + GOOD * 20 + b"{")
    process.send_signal(number)
    out, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (1, b"")
    assert out.startswith(b"24 recorded, 1 rejected\n")
    assert count(store) == 24


def test_a_named_pipe_is_waited_for_and_a_signal_ends_the_wait(store, path, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    process = processes.Popen(command(path, tmp_path / "fifo"), stdout=subprocess.PIPE)
    with (tmp_path / "fifo").open("wb", buffering=0) as fifo:
        fifo.write(GOOD)
        until(lambda: count(store) == 1)
    assert process.communicate(timeout=LONG)[0] == b"1 recorded, 0 rejected\n"
    assert process.returncode == 0


def slowly(*parts):
    """Pieces of which the clock runs on in between."""
    for part in parts:
        yield part
        yield None


def test_what_has_come_is_written_when_nothing_comes(store):
    seen = []

    def parts():
        for part in slowly(*pieces(Input(io.BytesIO(GOOD * 3)))):
            seen.append(count(store))
            yield part

    assert ingest_pieces(store.session, parts(), origin="pipe").recorded == 3
    assert seen == [0, 0, 1, 1, 2, 2]


def test_what_comes_all_the_time_is_written_within_half_a_second(store, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    seen = []

    def parts():
        for part in pieces(Input(io.BytesIO(GOOD * 10))):
            now[0] += 0.1
            seen.append(count(store))
            yield part

    ingest_pieces(store.session, parts(), origin="pipe")
    assert max(n - written for n, written in enumerate(seen)) <= 4


@pytest.fixture
def small(monkeypatch):
    """Limits that a test can reach."""
    for module in (reader, batches, stream):
        monkeypatch.setattr(module, "MAX_LINE", 1_000)
    for module in (batches, stream):
        monkeypatch.setattr(module, "SHOWN", 100)
    monkeypatch.setattr(batches, "_FIRST", 200)
    monkeypatch.setattr(stream, "_READ", 64)


BIG = b'{"type":"b","payload":"' + b"x" * 2_000 + b'"}'


@pytest.mark.parametrize("escape", [b"", b"\\", b'\\"', b"}],"])
@pytest.mark.parametrize(
    "form",
    [
        lambda big: GOOD + big + b"\n" + GOOD,
        lambda big: big + b"\n" + GOOD * 2,
        lambda big: b"[" + GOOD.strip() + b"," + big + b"," + GOOD.strip() + b"]",
        lambda big: b"[" + GOOD.strip() + b",\n" + big + b",\n" + GOOD.strip() + b"]\n",
        lambda big: b"\0" * 5_000 + GOOD + big + b"\n" + GOOD,
    ],
    ids=["line", "first line", "array on a line", "array on lines", "behind a hole"],
)
def test_what_is_too_long_is_one_reject_and_the_rest_is_recorded(store, small, form, escape):
    big = BIG.replace(b"xx", escape + b"x", 1) if escape != b"\\" else BIG.replace(b"xx", b"\\\\", 1)
    done = ingest(store, form(big))
    assert (done.recorded, done.rejected) == (2, 1)
    ((raw, error),) = query(store, "SELECT raw, error FROM reject_log")
    assert "the limit is 1,000" in error
    assert len(raw) <= 101


def test_an_array_on_one_line_may_be_far_longer_than_a_line(store, small):
    events = [{"type": "a", "payload": ['"}{[', "\\", n]} for n in range(300)]
    assert ingest(store, json.dumps(events).encode()).recorded == 300


def test_every_cut_of_an_array_gives_the_same(store, monkeypatch):
    data = b' [ {"type":"a","payload":"\\\\\\"]}{"},{"type":"b","payload":[{"x":"\\\\"}]} ] \n' + GOOD
    monkeypatch.setattr(batches, "_FIRST", 1)
    for size in chain(range(1, 12), [200]):
        monkeypatch.setattr(stream, "_READ", size)
        done = ingest(store, data)
        assert (done.recorded, done.rejected) == (3, 0), size


@pytest.mark.parametrize(
    ("data", "recorded"),
    [
        (b"", 0),
        (b"\n \r\n\t\n", 0),
        (GOOD.replace(b"\n", b"\r\n") * 2, 2),
        (b"\xef\xbb\xbf" + GOOD + b"\xef\xbb\xbf" + GOOD, 2),
        (GOOD + b"\0" * 3_000 + GOOD, 2),
        (b"\0" * 3_000 + GOOD, 2 - 1),
    ],
)
def test_line_ends_marks_and_holes_do_no_harm(store, data, recorded):
    done = ingest(store, data)
    assert (done.recorded, done.rejected) == (recorded, 0)


@pytest.mark.parametrize("data", [b"\0" * 5_000, GOOD.strip() + b"\r" + GOOD.strip(), b"<34>boom"])
def test_what_is_no_line_is_one_reject_that_names_no_other_format(store, data):
    done = ingest(store, data)
    assert (done.recorded, done.rejected) == (0, 1)
    assert "JUnit" not in done.reasons[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (gzip.compress(GOOD * 100, mtime=0), "gzip"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\3\4", "zip"),
        (b"SQLite format 3\0" + b"\0" * 100, "SQLite"),
        ((GOOD * 9).decode().encode("utf-16"), "UTF-16"),
        ((GOOD * 9).decode().encode("utf-16-le"), "UTF-16"),
        ((GOOD * 9).decode().encode("utf-16-be"), "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\2\x80\0\0\1\xe0\x08\6\0\0\0", "binary"),
        (bytes(range(1, 256)) * 4, "binary"),
    ],
)
def test_what_is_no_text_is_one_sentence_and_nothing_is_recorded(store, data, says):
    with pytest.raises(UsageError, match=says):
        ingest(store, data)
    assert query(store, "SELECT count(*) FROM reject_log") == [(0,)]


@pytest.mark.sqlite
def test_what_cannot_be_read_is_one_sentence(store, path, tmp_path, capsys):
    place = tmp_path / "socket"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(place))
    (tmp_path / "dir").mkdir()
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "text.gz").write_bytes(gzip.compress(GOOD))
    names = [place, tmp_path / "dir", tmp_path / "gone", path, "/proc/self/mem", tmp_path / "text.gz"]
    for name in names:
        for words in ([], ["--follow"]):
            if words and name == tmp_path / "gone":
                continue  # it is waited for
            assert main(["--db", str(path), "ingest", *words, str(name)]) == 2, name
            assert capsys.readouterr().err.splitlines()[-1].startswith("failaware: "), name
    listening.close()
    assert count(store) == 0


@pytest.mark.sqlite
def test_an_endless_file_ends_with_a_signal_and_says_where(path):
    process = processes.Popen(command(path, "/dev/zero"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(path.exists)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode in {130, -signal.SIGINT}
    assert b"Traceback" not in err


@pytest.mark.tour
@pytest.mark.parametrize(
    ("data", "recorded", "rejected"),
    [(GOOD + b"{\n" + GOOD, 2, 1), (b'<testsuite><testcase name="a"/><testcase name="b"/></testsuite><', 2, 1)],
    ids=["lines", "JUnit"],
)
@pytest.mark.sqlite
def test_what_came_through_a_pipe_waits_for_a_store_that_is_locked(store, path, monkeypatch, data, recorded, rejected):
    monkeypatch.setattr("failaware.engine.sqlite.writer.BUSY_TIMEOUT_S", 0.01)
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = []

        def try_again(error):
            asked.append(error)
            if len(asked) == 3:
                other.execute("ROLLBACK")
            return True

        done = ingest_file(store.session, Input(io.BytesIO(data)), origin="pipe", try_again=try_again)
    assert len(asked) == 3
    assert (done.recorded, done.rejected, count(store)) == (recorded, rejected, 2)
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            ingest(store, GOOD)
