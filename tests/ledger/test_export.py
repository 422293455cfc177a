"""An export taken back is the same store: the same facts, seals and derived rows, to the byte."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings

from failaware import Handlers, Inspector, Store, UsageError, Worker
from failaware.derive.grouping.groups import GroupingRules
from failaware.derive.settings import load_grouping
from failaware.facts import claim
from failaware.ledger.export import FIRST, Export
from failaware.ledger.restore import restore_export
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.schema.catalogue import FACTS
from tests import processes
from tests.conftest import derived, plain, plain_sqlite, query
from tests.oracle.history import CORRECTING, History, seeds
from tests.sizes import sized


def export(path):
    with Inspector.open(path) as inspector:
        return [line.encode() + b"\n" for line in Export(inspector.db).lines()]


def facts(store):
    return {table: query(store, f"SELECT * FROM {table} ORDER BY 1") for table in FACTS}


def taken(lines, path):
    with Store.open(path, synchronous="NORMAL") as store:
        return restore_export(store.session, lines, origin="x")[:2]


@given(seeds)
@example(354_201)  # clusters of different error types are merged
@settings(max_examples=sized(10, 40), deadline=None)
def test_a_store_made_from_an_export_is_the_same(seed):
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "a.db", Random(seed), moves=CORRECTING)
        with history.store as store:
            history.live(12)
            seal_all(store.session, history.clock.now)
            lines = export(store.session.read(lambda db: db.path))
            with Store.open(Path(folder) / "b.db", synchronous="NORMAL") as other:
                added, known, *_ = restore_export(other.session, lines, origin="x")
                assert (facts(other), derived(other)) == (facts(store), derived(store))
                assert restore_export(other.session, lines, origin="x")[:2] == (0, added + known)
        assert verify(Path(folder) / "b.db").findings == ()
        assert export(Path(folder) / "b.db") == lines


@pytest.fixture
def lines(path, put_sample):
    """An export of some size."""
    put_sample(120)
    with Store.open(path) as store:
        store.rebuild(store.session.policy._replace(repeated_retries=1))
    return export(path)


@pytest.mark.thinned
def test_policy_and_grouping_come_along(lines, path, tmp_path):
    taken(lines, tmp_path / "b.db")
    with Store.open(path) as store, Store.open(tmp_path / "b.db") as other:
        assert other.session.policy.repeated_retries == 1
        assert derived(other) == derived(store)


@pytest.mark.parametrize("payload", ['{"a": 1,  "b": "ü\\n"}', '{"a":\n1}', "not JSON", "1e400", '{"a":1,"a":2}'])
def test_payloads_come_back_to_the_byte(store, path, tmp_path, payload):
    with plain(path) as db:
        db.execute("INSERT INTO event_log VALUES (1, 'a', NULL, ?, 1, 1, NULL)", (payload,))
    store.rebuild()
    taken(export(path), tmp_path / "b.db")
    with plain(tmp_path / "b.db") as db:
        assert db.execute("SELECT event_payload FROM event_log").fetchall() == [(payload,)]


TAKER = """
import sys
from failaware import Store
from failaware.ledger import restore
restore._CHUNK = 20
with Store.open(sys.argv[1], synchronous="NORMAL") as store, open(sys.argv[2], "rb") as file:
    print("ready", flush=True)
    restore.restore_export(store.session, file, origin="x")
"""


@pytest.mark.thinned
@pytest.mark.large
def test_one_that_was_killed_in_the_middle_is_finished_by_the_next(lines, tmp_path):
    (tmp_path / "x").write_bytes(b"".join(lines))
    kills = 0
    for delay in range(12):
        command = [sys.executable, "-c", TAKER, tmp_path / "b.db", tmp_path / "x"]
        process = processes.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(delay / 150)
        process.send_signal(signal.SIGKILL)
        kills += process.wait(timeout=60) == -signal.SIGKILL
        process.stdout.close()
    assert kills > 1
    taken(lines, tmp_path / "b.db")
    assert verify(tmp_path / "b.db").findings == ()
    assert export(tmp_path / "b.db") == lines


def test_one_that_breaks_off_says_so(lines, tmp_path):
    with pytest.raises(UsageError, match="is incomplete"):
        taken(lines[:-1], tmp_path / "b.db")
    with Store.open(tmp_path / "b.db") as store:
        assert facts(store) == {table: [] for table in FACTS}
    taken(lines, tmp_path / "b.db")
    with Store.open(tmp_path / "b.db") as store:
        seal_all(store.session, store.session.clock())
    assert verify(tmp_path / "b.db").findings == ()


def test_it_is_not_mixed_with_other_facts(lines, tmp_path):
    with Store.open(tmp_path / "b.db") as store:
        store.record("mine", 1)
    with pytest.raises(UsageError, match="restore it into a new file"):
        taken(lines, tmp_path / "b.db")
    with Store.open(tmp_path / "c.db") as store:
        restore_export(store.session, lines, origin="x")
        store.record("mine", 1)
    first = next(number for number, line in enumerate(lines) if line.startswith(b'{"fact":"event","event_id":1,'))
    changed = [*lines]
    changed[first] = lines[first].replace(b'"event_type":"', b'"event_type":"other.')
    with pytest.raises(UsageError, match="this store has another event 1 than the export"):
        taken(changed, tmp_path / "c.db")


@pytest.fixture
def elsewhere(tmp_path, clock):
    """Another store, a file."""
    with Store.open(tmp_path / "elsewhere.db", synchronous="NORMAL", clock=clock) as other:
        other.record_many(("theirs", n) for n in range(3))
        yield other


def work(store):
    handlers = Handlers()
    handlers.on("*")(lambda _event: None)
    Worker(store, handlers).run(until_idle=True, patience=0)


def test_a_store_with_facts_of_its_own_goes_on_sealing(store, elsewhere, tmp_path):
    store.record("mine")
    with pytest.raises(UsageError, match="restore it into a new file"):
        restore_export(store.session, export(tmp_path / "elsewhere.db"), origin="x")
    seal_all(store.session, store.session.clock())
    assert query(store, "SELECT last_id FROM seal_log") == [(1,)]


def test_a_store_that_turns_out_to_be_another_one_goes_on_sealing(store, elsewhere, tmp_path, path, clock):
    restore_export(store.session, export(tmp_path / "elsewhere.db"), origin="x")
    store.session.write(lambda db: claim.hold(db, 1, "other:1", now=0, until=clock.now + 1))
    elsewhere.record("theirs", 3)
    for one in (store, elsewhere):  # each attempts another event first
        work(one)
    with pytest.raises(UsageError, match="another attempt 1 than the export"):
        restore_export(store.session, export(tmp_path / "elsewhere.db"), origin="x")
    assert query(store, "SELECT count(*) FROM event_log") == [(3,)]  # nothing of it is kept
    seal_all(store.session, store.session.clock())
    assert verify(path).findings == ()


def test_the_rules_of_an_export_take_the_place_of_those_of_a_store_without_facts(store, elsewhere, tmp_path):
    store.rebuild(
        store.session.policy._replace(multiple_events=9), grouping=GroupingRules.from_toml("clusters_per_type = 7")
    )
    elsewhere.rebuild(
        store.session.policy._replace(multiple_events=5), grouping=GroupingRules.from_toml("clusters_per_type = 3")
    )
    restore_export(store.session, export(tmp_path / "elsewhere.db"), origin="x")
    assert store.session.policy.multiple_events == 5
    assert store.session.read(load_grouping).clusters_per_type == 3
    assert derived(store) == derived(elsewhere)
    elsewhere.rebuild(store.session.policy._replace(multiple_events=6))
    with pytest.raises(UsageError, match="has another policy"):
        restore_export(store.session, export(tmp_path / "elsewhere.db"), origin="x")
    assert store.session.policy.multiple_events == 5


EVENT = {
    "fact": "event",
    "event_id": 1,
    "event_type": "a",
    "source": None,
    "occurred_at": 1,
    "detected_at": 1,
    "fingerprint": None,
    "key": None,
    "payload": 1,
}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: a line must be one JSON object"),
        ('{"fact": "rumour"}', "'fact' is not one of"),
        ('{"fact": ["event"]}', "'fact' is not one of"),
        (json.dumps({**EVENT, "extra": 1}), "event has the fields"),
        (json.dumps({**EVENT, "event_id": "1"}), "event_id is a whole number, not '1'"),
        (json.dumps({**EVENT, "event_id": True}), "event_id is a whole number"),
        (json.dumps({**EVENT, "event_id": 2**70}), "is out of range"),
        (json.dumps({**EVENT, "event_type": None}), "event_type is a string, not None"),
        (json.dumps({**EVENT, "source": 5}), "source is a string, not 5"),
        (
            json.dumps({"fact": "setting", "name": "policy", "value": "multiple_events = 0"}),
            "multiple_events is a whole",
        ),
        (
            json.dumps({"fact": "setting", "name": "grouping", "value": "no TOML"}),
            "grouping rules of the export is not TOML",
        ),
        (
            json.dumps({"fact": "setting", "name": "seals", "value": "held"}),
            "which is none of archive, grouping, key, policy",
        ),
        (b"\xff", "line 2"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path, line, why):
    line = line if isinstance(line, bytes) else line.encode()
    with pytest.raises(UsageError, match=why):
        taken([FIRST.encode() + b"\n", line], tmp_path / "b.db")


@pytest.mark.sqlite("a damaged page of its file")
def test_what_a_damaged_file_still_gives_is_saved(lines, path, tmp_path):
    with plain_sqlite(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'attempt_log'").fetchall()
        ((size,),) = db.execute("PRAGMA page_size").fetchall()
    content = bytearray(path.read_bytes())
    leaf = int.from_bytes(content[(root - 1) * size + 12 + 2 * 0 : (root - 1) * size + 14], "big")
    child = int.from_bytes(content[(root - 1) * size + leaf : (root - 1) * size + leaf + 4], "big")
    content[(child - 1) * size : child * size] = bytes(size)
    path.write_bytes(content)
    with Inspector.open(path) as inspector:
        made = Export(inspector.db)
        saved = [line.encode() + b"\n" for line in made.lines()]
    assert 0 < made.lost < 100
    assert len(saved) == len(lines) - made.lost
    assert set(saved[:-1]) <= set(lines)
