"""Following a file: each line is recorded once, through rotation, truncation, kills and restarts."""

import gzip
import hashlib
import hmac
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from failaware import Store
from failaware.errors import UsageError
from failaware.ingest import follow as module
from failaware.ingest import followed_file
from failaware.ingest.follow import follow
from failaware.ingest.rotation import siblings
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, plain, query
from tests.sizes import sized

LONG = 30  # s, for what takes far less


def until(holds):
    deadline = time.monotonic() + LONG
    while not (value := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def unread(path, file):
    """The lines that a blocked follower has read so far, and all lines."""
    there = {
        f"{each.stat().st_dev}:{each.stat().st_ino}": (each.name, each.stat().st_size) for each in file.parent.iterdir()
    }
    with plain(path) as db:
        return there, db.execute("SELECT identity, read_to, line_no FROM followed").fetchall(), len(numbers(path))


def line(n, **more):
    return json.dumps({"type": "a", "payload": {"n": n, **more}}) + "\n"


def append(file, text):
    with file.open("a") as opened:
        opened.write(text)


def rotate(file):
    """As logrotate does, with any number of older ones."""
    for n in range(9, 0, -1):
        if (older := file.with_name(f"{file.name}.{n}")).exists():
            older.rename(file.with_name(f"{file.name}.{n + 1}"))
    file.rename(file.with_name(f"{file.name}.1"))


def copy_and_truncate(file):
    for n in range(9, 0, -1):
        if (older := file.with_name(f"{file.name}.{n}")).exists():
            older.rename(file.with_name(f"{file.name}.{n + 1}"))
    shutil.copyfile(file, file.with_name(f"{file.name}.1"))
    os.truncate(file, 0)


def numbers(path):
    with plain(path) as db:
        rows = db.execute("SELECT event_payload FROM event_log ORDER BY event_id").fetchall()
    return [json.loads(payload)["n"] for (payload,) in rows]


@pytest.fixture
def file(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "app.jsonl"


@contextmanager
def following(path, *files, messages=None):
    """A follower in a thread of its own, until the block ends."""
    stopping, total, failed = [], [], []
    messages = [] if messages is None else messages

    def stop(_seconds):
        time.sleep(0.002)
        return bool(stopping)

    def run():
        try:
            with Store.open(path, synchronous="NORMAL") as store:
                total.append(follow(store.session, [str(file) for file in files], stop=stop, warn=messages.append))
        except Exception as error:
            failed.append(error)

    Store.open(path).close()
    thread = Thread(target=run)
    thread.start()
    try:
        yield total
    finally:
        stopping.append(True)
        thread.join(LONG)
    if failed:
        raise failed[0]


@pytest.mark.tour
def test_what_is_there_and_what_is_added_is_recorded_and_a_part_of_a_line_waited_for(path, file):
    append(file, line(0) + line(1)[:10])
    with following(path, file) as total:
        until(lambda: numbers(path) == [0])
        append(file, line(1)[10:] + "nonsense\n\n" + line(2))
        until(lambda: numbers(path) == [0, 1, 2])
    assert (total[0].recorded, total[0].rejected) == (3, 1)
    with following(path, file) as total:
        append(file, line(3) + "worse\n")
        until(lambda: numbers(path) == [0, 1, 2, 3])
    assert (total[0].recorded, total[0].rejected) == (1, 1)
    with Store.open(path) as store:
        assert query(store, "SELECT line_no FROM reject_log") == [(3,), (7,)]
        assert_rebuild_changes_nothing(store)


def test_the_webhooks_of_the_sample_data(path, file):
    shutil.copyfile(Path(__file__).parents[2] / "sample_data" / "inputs" / "webhooks.jsonl", file)
    with following(path, file) as total:
        until(lambda: len(query_events(path)) == 3)
    assert (total[0].recorded, total[0].rejected) == (3, 0)


def query_events(path):
    with plain(path) as db:
        return db.execute("SELECT event_id FROM event_log").fetchall()


def test_one_that_is_not_there_yet_is_waited_for(path, file):
    messages = []
    with following(path, file, messages=messages):
        until(lambda: messages)
        append(file, line(0))
        until(lambda: numbers(path) == [0])
    assert "waiting for it" in messages[0]


def test_rotation_late_writers_and_a_last_line_without_end(path, file, monkeypatch):
    monkeypatch.setattr(module, "QUIET_S", 0.3)
    append(file, line(0))
    with following(path, file):
        until(lambda: numbers(path) == [0])
        rotate(file)
        old = file.with_name("app.jsonl.1")
        append(old, line(1))  # the writer still has the old file open, and there is no new one yet
        until(lambda: numbers(path) == [0, 1])
        append(file, line(2))
        until(lambda: numbers(path) == [0, 1, 2])
        append(old, line(3).rstrip())
        until(lambda: numbers(path) == [0, 1, 2, 3])
        with plain(path) as db:  # the old one is done with
            until(lambda: db.execute("SELECT count(*) FROM followed").fetchone() == (1,))


@pytest.mark.parametrize("how", [rotate, copy_and_truncate])
def test_what_was_rotated_away_while_nobody_followed_is_found(path, file, how):
    append(file, line(0))
    with following(path, file):
        until(lambda: numbers(path) == [0])
    append(file, line(1))
    how(file)
    append(file, line(2, longer="x" * 500))
    messages = []
    with following(path, file, messages=messages):
        until(lambda: sorted(numbers(path)) == [0, 1, 2])
    with following(path, file):
        append(file, line(3))
        until(lambda: sorted(numbers(path)) == [0, 1, 2, 3])
    assert [("truncated" in text) for text in messages] == [True] * (how is copy_and_truncate)


def test_a_truncation_is_noticed_although_the_file_is_longer_than_before(path, file):
    append(file, line(0))
    messages = []
    with following(path, file, messages=messages):
        until(lambda: numbers(path) == [0])
        file.write_text(line(1, new="y" * 100) + line(2))
        until(lambda: numbers(path) == [0, 1, 2])
    assert "truncated or replaced after byte" in messages[0]


def test_an_older_file_that_begins_alike_is_no_copy(path, file):
    append(file.with_name("app.jsonl.1"), line(0) + line(1))
    os.utime(file.with_name("app.jsonl.1"), (0, 0))
    append(file, line(0))
    with following(path, file):
        until(lambda: numbers(path) == [0])
        file.write_text(line(2) * 2)
        until(lambda: numbers(path) == [0, 2, 2])


def test_a_copy_made_after_a_rotation_is_not_said_to_be_unseen(path, file):
    append(file, line(0))
    with following(path, file):
        until(lambda: numbers(path) == [0])
        rotate(file)
        append(file, line(1))
        until(lambda: numbers(path) == [0, 1])
    append(file, line(2))
    copy_and_truncate(file)
    append(file, line(3))
    messages = []
    with following(path, file, messages=messages):
        until(lambda: sorted(numbers(path)) == [0, 1, 2, 3])
    assert ["truncated" in text for text in messages] == [True]


def utf_16(*numbers):
    return "".join(line(n) for n in numbers).encode("utf-16")


def compressed(*_numbers):
    return gzip.compress(random.Random(1).randbytes(100_000)) + b"\n"


@pytest.mark.parametrize(("other", "kind"), [(utf_16, "UTF-16"), (compressed, "compressed by gzip")])
@pytest.mark.parametrize("rotated", [False, True])
def test_a_part_that_is_no_text_is_one_reject_and_what_follows_is_recorded(path, file, other, kind, rotated):
    append(file, line(0))
    with following(path, file) as total:
        until(lambda: numbers(path) == [0])
        if rotated:
            rotate(file)
        with file.open("ab") as opened:
            opened.write(other(*range(100, 150)))
        append(file, line(1) + "nonsense\n" + line(2))
        until(lambda: numbers(path) == [0, 1, 2])
    assert (total[0].recorded, total[0].rejected) == (3, 2)
    with Store.open(path) as store:
        problem, nonsense = [error for (error,) in query(store, "SELECT error FROM reject_log ORDER BY reject_id")]
    assert problem == f"from here the input is {kind}, not text in UTF-8; skipped up to the next line of text"
    assert "skipped" not in nonsense


def test_the_digest_of_a_position_is_made_under_the_key_of_the_store(path, file):
    append(file, line(0))
    with following(path, file):
        until(lambda: numbers(path) == [0])
    content = file.read_bytes()
    with Store.open(path) as store:
        ((kept,),) = query(store, "SELECT digest FROM followed")
        ((key,),) = query(store, "SELECT value FROM setting WHERE name = 'key'")
    covered = b"%d:%b%b" % (len(content), content, content)
    assert kept == hmac.new(bytes.fromhex(key), covered, hashlib.sha256).hexdigest()


def test_what_is_gone_or_was_never_seen_is_said(path, file):
    append(file, line(0))
    with following(path, file):
        until(lambda: numbers(path) == [0])
    rotate(file)
    append(file, line(1))
    rotate(file)
    append(file, line(2))
    messages = []
    with following(path, file, messages=messages):
        until(lambda: numbers(path) == [0, 2])
    assert messages == ["app.jsonl.1 was rotated while it was not followed; 'failaware ingest app.jsonl.1' records it"]
    for old in file.parent.glob("app.jsonl*"):
        old.unlink()
    append(file, line(3))
    with following(path, file, messages=messages):
        until(lambda: numbers(path) == [0, 2, 3])
    assert any("cannot be found" in text or "truncated" in text for text in messages[1:])


@pytest.mark.tour
def test_two_followers_of_one_file_do_not_double_it(path, file):
    append(file, line(0))

    def write_for_both():
        with following(path, file), following(path, file):
            for n in range(1, 400):
                append(file, line(n))
                time.sleep(0.001)

    with pytest.raises(UsageError, match="another process follows"):
        write_for_both()
    assert len(set(numbers(path))) == len(numbers(path))


def test_an_endless_line_is_rejected_and_memory_stays_flat(path, file, monkeypatch):
    monkeypatch.setattr(followed_file, "_WINDOW", 1_000)
    monkeypatch.setattr(followed_file, "MAX_LINE", 10_000)
    append(file, line(0) + "x" * 50_000)
    with following(path, file) as total:
        until(lambda: numbers(path) == [0])
        append(file, "x" * 50_000 + "\n" + line(1))
        until(lambda: numbers(path) == [0, 1])
    assert total[0].rejected == 1
    with Store.open(path) as store:
        assert query(store, "SELECT line_no, error FROM reject_log") == [
            (2, "the line has 100,001 bytes; the limit is 10,000")
        ]
    with following(path, file):
        append(file, line(2))
        until(lambda: numbers(path) == [0, 1, 2])


def start(path, file):
    words = ["--db", str(path), "ingest", "--synchronous", "NORMAL", "--follow", file.name]
    return processes.Popen(
        [sys.executable, "-m", "failaware", *words],
        cwd=file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_cleanly_and_counts(path, file, number):
    append(file, line(0) + "nonsense\n")
    process = start(path, file)
    assert "following app.jsonl" in process.stderr.readline()
    until(lambda: numbers_or_none(path) == [0])
    process.send_signal(number)
    out, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (1, "")
    assert out.startswith("1 recorded, 1 rejected\n")


def numbers_or_none(path):
    try:
        return numbers(path)
    except (sqlite3.OperationalError, psycopg.errors.UndefinedTable):
        return None  # it was not created yet


@pytest.mark.parametrize(("words", "says"), [(["-"], "leave out --follow"), (["."], "cannot be followed")])
def test_what_cannot_be_followed_is_one_sentence(tmp_path, words, says):
    command = [sys.executable, "-m", "failaware", "ingest", "--follow", *words]
    done = processes.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]


def test_a_file_that_goes_while_the_folder_is_read_hides_no_other(tmp_path):
    for n in range(6):
        (tmp_path / f"app.log.{n}").write_text("x")
    names = os.listdir(tmp_path)
    seen = siblings(str(tmp_path / "app.log"))
    first, _ = next(seen)
    assert first == str(tmp_path / names[0])
    (tmp_path / names[2]).unlink()
    (tmp_path / names[4]).unlink()
    assert [os.path.basename(path) for path, _ in seen] == [names[1], names[3], names[5]]


def test_a_rotated_file_that_one_look_at_the_folder_misses_is_found(path, file, monkeypatch):
    append(file, line(0))
    with following(path, file):
        until(lambda: numbers(path) == [0])
    append(file, line(1))
    rotate(file)
    append(file, line(2))
    looks = iter([iter(())])
    monkeypatch.setattr(module, "siblings", lambda path: next(looks, None) or siblings(path))
    messages = []
    with following(path, file, messages=messages):
        until(lambda: sorted(numbers(path)) == [0, 1, 2])
    assert (messages, next(looks, None)) == ([], None)


@pytest.mark.tour
@pytest.mark.thinned
@pytest.mark.large
def test_killed_again_and_again_it_loses_and_doubles_nothing(path, file):
    """Lines without keys, written in pieces, while the file is renamed and truncated and the follower killed."""
    rng = random.Random(7)
    written = itertools.count(1)
    count = 1
    append(file, line(0))
    with following(path, file):
        until(lambda: numbers(path) == [0])
    for _ in range(sized(3, 9)):
        process = start(path, file)
        process.stderr.readline()
        for _ in range(rng.randrange(1, 4)):
            text = "".join(line(next(written), pad="p" * rng.randrange(200)) for _ in range(rng.randrange(1, 3_000)))
            count += text.count("\n")
            cut = rng.randrange(len(text))
            append(file, text[:cut])
            time.sleep(rng.uniform(0, 0.03))
            append(file, text[cut:])
        if rng.random() < 0.5:  # rotate while the file is not followed, or while it is read
            process.kill()
        rng.choice([rotate, copy_and_truncate, lambda file: None])(file)
        append(file, line(next(written), first=rng.random()))
        count += 1
        if process.poll() is None:
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
        process.communicate(timeout=LONG)
        process = start(path, file)
        deadline = time.monotonic() + LONG
        while len(numbers(path)) < count:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, unread(path, file)
            time.sleep(0.05)
        process.kill()
        process.communicate(timeout=LONG)
    assert sorted(numbers(path)) == list(range(count))
    with Store.open(path) as store:
        assert query(store, "SELECT count(*) FROM reject_log") == [(0,)]
        assert_rebuild_changes_nothing(store)
