"""Hostile input: any bytes are recorded or rejected with a reason, and displayed as harmless text."""

import json
import os
import random
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import FailawareError, Inspector, Store, StoreError, UsageError
from failaware.cli.main import main
from failaware.derive.grouping.groups import CLUSTERS_PER_TYPE
from failaware.errors import PayloadError
from failaware.ingest.lines import ingest_lines
from failaware.ledger.verify import verify
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, plain_sqlite, query
from tests.sizes import sized
from tests.soak import fuzz, hostile, storm
from tests.soak.corruption import Trial, in_a_process
from tests.soak.parsers import Parsers

FIELDS = (
    "status",
    "type",
    "error",
    "since",
    "until",
    "severity",
    "cluster",
    "key",
    "source",
    "retries",
    "no-field",
    "",
)
QUOTES = st.text(st.sampled_from("'\"`;-*%_?:[]()\\\0 \nabc1\ud800é"), max_size=20)
condition = st.tuples(
    st.sampled_from(["", "!", "-"]),
    st.sampled_from(FIELDS),
    st.sampled_from([":", "", ":<", ":>="]),
    st.one_of(QUOTES, st.text(max_size=8)),
).map("".join)
filters = st.lists(condition, max_size=3).map(" ".join)


@pytest.mark.parametrize("seed", range(sized(1, 12)))
def test_hostile_data_is_taken_or_refused_and_shown_as_harmless_text(seed, tmp_path):
    counts = hostile.trial(random.Random(seed), tmp_path)
    assert counts["taken"]
    assert counts["refused"]
    assert counts["reports"] == len(hostile.REPORTS) + len(hostile.JSON_REPORTS)


@pytest.fixture(scope="module")
def parsers():
    with Parsers() as parsers:
        yield parsers


@given(st.data())
@settings(max_examples=sized(75, 300), deadline=None)
def test_every_parser_reads_any_bytes_or_refuses_them_in_words(parsers, data):
    name = data.draw(st.sampled_from(sorted(parsers.examples)))
    example = data.draw(st.sampled_from(parsers.examples[name]))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(example))] * 2)))
    between = data.draw(st.one_of(st.binary(max_size=40), st.text().map(lambda text: text.encode("utf-8", "replace"))))
    parsers.read(name, example[:start] + between + example[end:])


@pytest.mark.large
def test_a_fuzzer_led_by_coverage_finds_nothing_in_a_parser():
    pytest.importorskip("atheris")
    assert fuzz.run(sized(1, 2), random.Random(1), ["moment"])["inputs"] > 100


@pytest.mark.large
def test_the_fuzzer_tells_of_a_parser_that_breaks(monkeypatch, tmp_path):
    pytest.importorskip("atheris")
    (tmp_path / "sitecustomize.py").write_text("import failaware.read.time_expressions as m\nm.parse_moment = None\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(AssertionError, match="not callable"):
        fuzz.run(sized(1, 2), random.Random(1), ["moment"])


@pytest.mark.large
@pytest.mark.parametrize("seed", range(sized(1, 3)))
def test_a_damaged_store_answers_truly_or_says_so_or_does_not_verify(seed):
    counts = in_a_process(seed, most=sized(20, 40))
    assert counts["trials"] == sized(20, 40)
    assert counts["reported"]
    assert counts["exported"]


@pytest.mark.large
def test_no_page_of_another_table_passes_for_leases(tmp_path):
    """Nothing proves a lease, as facts prove what is derived: what it looks like must tell."""
    trial = Trial(tmp_path)
    with plain_sqlite(trial.path) as db:
        ((root,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'lease'").fetchall()
    pages = [trial.content[at : at + 4096] for at in range(0, len(trial.content), 4096)]
    for page in set(pages) - {pages[root - 1]}:
        trial.path.write_bytes(b"".join([*pages[: root - 1], page, *pages[root:]]))
        try:
            with Inspector.open(trial.path) as inspector:
                leased = inspector.health().running
        except StoreError:
            continue
        assert not leased or verify(trial.path).findings


@pytest.mark.thinned
@pytest.mark.large
def test_64_mb_are_refused_or_bounded(store, path, engine):
    huge = "x" * 67_108_864
    for offered in (
        {"type": "a", "payload": huge},
        {"type": huge},
        {"type": "a", "key": huge},
        {"type": "a", "source": huge},
    ):
        with pytest.raises(UsageError) as refused:
            store.record_many([offered])
        assert len(str(refused.value)) < 1_000
    with pytest.raises(PayloadError, match="the limit is"):
        store.record("a", [huge])
    with pytest.raises(ValueError, match=r"^x"), store.attempt("a"):
        raise ValueError(huge)
    done = ingest_lines(
        store.session, [json.dumps({"type": "a", "payload": huge}).encode(), huge.encode()], origin="file"
    )
    assert (done.recorded, done.rejected) == (0, 2)
    if engine == "sqlite":
        assert path.stat().st_size < 1 << 20
    assert_rebuild_changes_nothing(store)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    path = tmp_path_factory.mktemp("full") / "store.db"
    with Store.open(path, synchronous="NORMAL") as store:
        for n in range(5):
            store.session.ingest([], [])
            ingest_lines(store.session, [b'{"type": "a", "error": {"type": "E", "message": "m"}}'], origin=str(n))
    return path


@given(filters, QUOTES)
@settings(max_examples=sized(37, 150), deadline=None)
def test_no_filter_and_no_argument_becomes_sql(full, where, word):
    with Inspector.open(full) as inspector:
        for ask in (
            lambda: inspector.events(where),
            lambda: inspector.count_events(where),
            lambda: inspector.clusters(where),
            lambda: inspector.patterns.recovered(where),
            lambda: inspector.cluster(word),
            lambda: inspector.explain(word),
            lambda: inspector.explain(f"event/{word}"),
        ):
            with suppress(FailawareError):  # never an error of SQLite
                ask()
        assert inspector.health().total_events == 5


def test_arguments_that_are_no_utf8_end_in_one_sentence(full):
    command = [sys.executable, "-m", "failaware", "--db", str(full)]
    for words in (
        ["events", b"error:\xff"],
        ["clusters", b"\xff"],
        ["event", b"\xff"],
        ["explain", b"event/\xff"],
        ["ingest", b"\xff"],
    ):
        done = processes.run([*command, *words], capture_output=True, check=False)
        assert b"Traceback" not in done.stderr
        assert done.stderr.count(b"\n") <= 1
        assert done.returncode in (0, 2)


def test_a_file_whose_name_is_no_utf8_is_ingested(path, tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff.jsonl"
    with open(name, "wb") as file:
        file.write(b"{\n")
    assert main(["--db", str(path), "ingest", os.fsdecode(name)]) == 1
    with Store.open(path, synchronous="NORMAL") as store:
        assert query(store, "SELECT origin FROM reject_log")[0][0].endswith("/\\udcff.jsonl")


@pytest.mark.large
def test_a_storm_of_unlike_messages_leaves_a_store_that_can_be_read(path):
    assert storm.storm(path, most=3_000, page=1_000)["clusters"] == CLUSTERS_PER_TYPE + 1
