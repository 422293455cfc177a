"""Records of many lines: joined for each stream, however they arrive; never held for long, and bounded."""

import io
import itertools
import json
import random
import time
from contextlib import suppress

import pytest

from failaware.ingest import follow as following
from failaware.ingest import joining, lines
from failaware.ingest.files import ingest_file
from failaware.ingest.follow import follow
from failaware.ingest.lines import ingest_pieces
from failaware.ingest.reader import LineReader, ReadingOptions
from failaware.ingest.stream import Input, pieces
from tests.conftest import query
from tests.ingest.test_follow import LONG, append, until
from tests.ingest.test_formats import INPUTS
from tests.ingest.test_streams import piped
from tests.sizes import sized

PYTHON = """Traceback (most recent call last):
  File "/srv/shop.py", line 3, in <module>
    pay(17)

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/shop.py", line 2, in pay
    raise ConnectionError("no answer")
ConnectionError: no answer
"""
HEADED = "2026-11-29 10:00:0%d,123 ERROR shop: charging failed\n" + PYTHON.replace("\nDuring", "KeyError: 1\n\nDuring")


FRAMES_END = (HEADED % 1).index("    raise ConnectionError")


def failures(store):
    return query(store, "SELECT error_type, error_message FROM attempt_log ORDER BY attempt_id")


def docker(text, stream, start=0):
    return [
        json.dumps({"log": line, "stream": stream, "time": f"2026-11-29T10:00:00.{start + number:09d}Z"}) + "\n"
        for number, line in enumerate(text.splitlines(keepends=True))
    ]


def ingest(store, text):
    return ingest_file(store.session, Input(io.BytesIO(text.encode())), origin="file")


def shuffled(seed, *streams):
    """Lines of several streams, in any order that each stream keeps."""
    rng, left = random.Random(seed), [list(stream) for stream in streams]
    while any(left):
        yield rng.choice([stream for stream in left if stream]).pop(0)


@pytest.mark.parametrize("seed", range(sized(3, 20)))
def test_streams_that_mix_are_joined_apart(store, seed):
    out = docker("GET /\n" * 15, "stdout", 1_000)
    done = ingest(store, "".join(shuffled(seed, docker(HEADED % 1 + HEADED % 2, "stderr"), out)))
    assert (done.recorded, done.rejected, done.ignored) == (2, 0, 15)
    assert failures(store) == [("ConnectionError", "no answer")] * 2


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_size_of_the_parts_makes_no_difference(store, size):
    data = (INPUTS / "docker.log").read_bytes()
    parts = (data[at : at + size] for at in range(0, len(data), size))
    source = Input(io.BytesIO())
    source.read = lambda: next(parts, b"")
    done = ingest_pieces(store.session, pieces(source), origin="file")
    assert (done.recorded, done.rejected) == (7, 0)


def test_a_bare_traceback_ends_where_its_language_ends_it(store):
    texts = json.loads(json.dumps([PYTHON, "plain line\n", "java.lang.Error: no\n\tat a.B.c(B.java:1)\n", "another\n"]))
    done = ingest(store, "".join(texts))
    assert (done.recorded, done.rejected) == (2, 2)
    assert failures(store) == [("ConnectionError", "no answer"), ("java.lang.Error", "no")]


def test_a_record_is_bounded(store, monkeypatch):
    monkeypatch.setattr(joining, "MAX_LINES", 50)
    lines_of_one = HEADED % 1 + "  more\n" * 500
    ingest(store, lines_of_one + HEADED % 2)
    reader = LineReader()
    assert query(store, "SELECT count(*) FROM event_log WHERE event_type = 'shop'") == [(2,)]
    assert reader.held == 0


def slowly(*parts):
    """Pieces with a pause after each."""
    for part in parts:
        yield from pieces(Input(io.BytesIO(part.encode())))
        yield None


def test_what_has_come_through_a_pipe_is_written_when_nothing_follows(store):
    seen = []

    def parts():
        for part in slowly(HEADED % 1, HEADED % 2):
            seen.append(len(failures(store)))
            yield part

    options = ReadingOptions(is_stream=True)
    ingest_pieces(store.session, parts(), origin="pipe", reader=LineReader(options))
    assert seen[-1] == 1
    assert len(failures(store)) == 2


def test_a_record_of_a_quiet_stream_is_not_held_by_a_busy_one(store, monkeypatch):
    """No pause ever comes, since standard output is busy."""
    now = itertools.count()
    monkeypatch.setattr(lines.time, "monotonic", lambda: next(now) * 0.01)
    seen = []

    def parts():
        for line in [*docker(HEADED % 1, "stderr"), *docker("GET /\n" * 100, "stdout", 100)]:
            seen.append(len(failures(store)))
            yield from pieces(Input(io.BytesIO(line.encode())))

    ingest_pieces(store.session, parts(), origin="pipe", reader=LineReader(ReadingOptions(is_stream=True)))
    assert seen[60] == 1


def test_a_record_of_a_file_is_not_ended_by_a_slow_machine(store, monkeypatch):
    now = itertools.count()
    monkeypatch.setattr(lines.time, "monotonic", lambda: float(next(now)))
    ingest(store, "".join(docker(HEADED % 1, "stderr")))
    assert failures(store) == [("ConnectionError", "no answer")]


def test_a_record_of_a_pipe_is_not_ended_by_a_slow_store(store, monkeypatch):
    """What follows has been read, and waits."""
    now, write = [0.0], lines.Chunk.write_when_free

    def slow(chunk, try_again):
        now[0] += 9
        write(chunk, try_again)

    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lines.Chunk, "write_when_free", slow)
    monkeypatch.setattr(lines, "CHUNK", 3)
    traced, printed = docker(HEADED % 1, "stderr"), docker("GET /\n" * 9, "stdout", 100)
    data = io.BytesIO("".join([*traced[:3], *printed, *traced[3:]]).encode())
    reader = LineReader(ReadingOptions(is_stream=True))
    ingest_pieces(store.session, pieces(Input(data)), origin="x", reader=reader)
    assert failures(store) == [("ConnectionError", "no answer")]


def test_a_line_is_recorded_within_a_second_of_its_arrival_in_the_pipe(store, path):
    process = piped(path)
    times = []
    for number in range(3):
        process.stdin.write((HEADED % number).encode())
        began = time.monotonic()
        until(lambda number=number: len(failures(store)) == number + 1)
        times.append(time.monotonic() - began)
    process.stdin.write((HEADED % 9).encode())
    process.send_signal(15)
    assert process.communicate(timeout=LONG)[0].startswith(b"4 recorded")
    assert min(times[1:]) < 1, times  # the first one waits for the program to start


def turns(*steps):
    """What `follow` calls to sleep: takes one step each time, and then stops."""
    left = list(steps)

    def stop(_seconds):
        if not left:
            return True
        left.pop(0)()
        return False

    return stop


def followed(store, file, *steps):
    return follow(store.session, [str(file)], stop=turns(*steps), warn=lambda _text: None)


def test_a_traceback_that_is_written_in_parts_is_one_failure(store, tmp_path):
    file, text = tmp_path / "app.log", HEADED % 1
    file.write_text(text[:90])

    def more(part):
        return lambda: append(file, part)

    followed(store, file, more(text[90:200]), more(text[200:]), *[lambda: None] * 4)
    assert failures(store) == [("ConnectionError", "no answer")]


def test_the_last_record_is_written_when_the_file_does_not_grow(store, tmp_path):
    file, seen = tmp_path / "app.log", []
    file.write_text(HEADED % 1)
    followed(store, file, *[lambda: seen.append(len(failures(store)))] * 4)
    assert seen[0] == 0
    assert seen[-1] == 1


def test_what_is_held_is_recorded_at_the_end_and_read_once(store, tmp_path):
    file = tmp_path / "app.log"
    file.write_text(HEADED % 1)
    assert followed(store, file).recorded == 1
    file.write_text(HEADED % 1 + HEADED % 2)
    assert followed(store, file).recorded == 1
    assert len(failures(store)) == 2


def test_a_followed_file_of_no_known_format_is_one_reject_until_a_line_can_be_read(store, tmp_path):
    file = tmp_path / "app.log"
    file.write_text("words\n" * 300)
    done = followed(store, file, *[lambda: None] * 2, lambda: append(file, HEADED % 1), *[lambda: None] * 4)
    assert (done.recorded, done.rejected, done.skipped) == (1, 1, 299)


class Killed(BaseException):
    pass


def kill():
    raise Killed


@pytest.mark.tour
@pytest.mark.parametrize("seed", range(sized(4, 40)))
def test_a_follower_that_is_killed_loses_and_doubles_nothing(store, tmp_path, monkeypatch, seed):
    """It ends without a word at any write; each time more of the file is there."""
    rng = random.Random(seed)
    parts = [HEADED % number for number in range(8)]
    parts += [
        "".join(docker(PYTHON.replace("answer", f"answer {number}"), "stderr", number * 100)) for number in range(8)
    ]
    rng.shuffle(parts)
    text = "".join(parts)
    file = tmp_path / "app.log"
    at, write = 0, following.Chunk.write

    def failing(chunk, along=None):
        if rng.random() < 0.3:
            raise Killed
        write(chunk, along)
        if rng.random() < 0.3:
            raise Killed

    while at < len(text):
        at += rng.randrange(1, len(text) // 4)
        file.write_text(text[:at])
        monkeypatch.setattr(following.Chunk, "write", failing)
        with suppress(Killed):
            followed(store, file, kill)  # a pause would end the record
        monkeypatch.setattr(following.Chunk, "write", write)
    followed(store, file, *[lambda: None] * 4)
    assert query(store, "SELECT count(*), count(DISTINCT k.key) FROM event_log JOIN event_key k USING (event_id)") == [
        (16, 16)
    ]
    assert {error_type for error_type, _ in failures(store)} == {"ConnectionError"}


def test_a_traceback_that_a_writer_flushes_in_parts_is_one_failure(store, monkeypatch):
    """The pauses are longer than what ends a record that is complete."""
    now = [0.0]
    monkeypatch.setattr(joining.time, "monotonic", lambda: now[0])
    begin, end = (HEADED % 1)[:FRAMES_END], (HEADED % 1)[FRAMES_END:]

    def parts():
        for part in (begin, end, HEADED % 2):
            yield from pieces(Input(io.BytesIO(part.encode())))
            now[0] += 0.3
            yield None

    ingest_pieces(store.session, parts(), origin="pipe", reader=LineReader(ReadingOptions(is_stream=True)))
    assert failures(store) == [("ConnectionError", "no answer")] * 2


def test_a_traceback_whose_end_never_comes_is_written_too(store, monkeypatch):
    now, seen = [0.0], []
    monkeypatch.setattr(joining.time, "monotonic", lambda: now[0])

    def parts():
        yield from pieces(Input(io.BytesIO((HEADED % 1)[:FRAMES_END].encode())))
        for _ in range(4):
            now[0] += 0.7
            seen.append(len(failures(store)))
            yield None

    ingest_pieces(store.session, parts(), origin="pipe", reader=LineReader(ReadingOptions(is_stream=True)))
    assert seen == [0, 0, 0, 1]


JAVA = "2026-11-29 10:00:01,123 ERROR shop: charging failed\njava.lang.Error: no answer\n\tat a.B.c(B.java:1)\n"


@pytest.mark.parametrize("pause", [0.3, 3.0])
def test_a_stack_that_a_writer_flushes_in_parts_is_one_failure(store, monkeypatch, pause):
    """What comes long after its beginning was recorded is no failure of its own."""
    now = [0.0]
    monkeypatch.setattr(joining.time, "monotonic", lambda: now[0])

    def parts():
        for part in (JAVA, "\tat a.B.d(B.java:9)\nCaused by: a.C: disk full\n\t... 3 more\n", "another\n"):
            yield from pieces(Input(io.BytesIO(part.encode())))
            now[0] += pause
            yield None

    done = ingest_pieces(store.session, parts(), origin="pipe", reader=LineReader(ReadingOptions(is_stream=True)))
    assert (failures(store), done.rejected) == ([("java.lang.Error", "no answer")], 0)


def test_a_followed_stack_that_is_written_in_parts_is_one_failure(store, tmp_path):
    file = tmp_path / "app.log"
    file.write_text(JAVA)
    steps = [lambda: time.sleep(0.25), lambda: append(file, "\tat a.B.d(B.java:9)\n")]
    followed(store, file, *steps, *[lambda: None] * 3)
    assert failures(store) == [("java.lang.Error", "no answer")]


@pytest.mark.parametrize(
    ("message", "after"),
    [
        ("this is missing:\nAccount 17", "Done\n"),
        ("relation does not exist\nLINE 1: SELECT\nHINT:  create it", "Done\n"),
        ("no:\n- one\n- two", "Exit status 1\n"),
        ("call(\n)", "Done\n"),
    ],
)
def test_a_message_of_several_lines_at_the_end_of_a_bare_traceback(store, message, after):
    ingest(store, PYTHON.replace("no answer\n", message + "\n") + after)
    assert failures(store) == [("ConnectionError", message)]


def test_what_a_program_prints_after_a_traceback_does_not_belong_to_it(store):
    done = ingest(store, f"{HEADED % 1}\nStarting again\n{HEADED % 2}\n\nError: cannot bind\ndone\n")
    assert failures(store) == [("ConnectionError", "no answer")] * 2
    assert (done.ignored, done.reasons[0].partition(": ")[0]) == (2, "file:29")  # what looks like an error is a reject


def test_a_failure_in_a_container_has_the_name_of_the_container(store):
    text = "".join(
        f"2026-11-29T12:00:00.00000000{n}Z stderr F {line}\n" for n, line in enumerate(PYTHON.split("\n")[5:])
    )
    names = ("pods/shop_web-1_0f2a/api/0.log", f"containers/web-1_shop_api-{'0f' * 32}.log", "x.log")
    for name in names:
        ingest_file(store.session, Input(io.BytesIO(text.encode())), origin=f"/var/log/{name}")
        text = text.replace("answer", "other answer")
    types = query(store, "SELECT event_type FROM event_log ORDER BY event_id")
    assert types == [("api",), ("api",), ("container",)]
