"""Iteration over all facts follows the existing ids, not the numbers up to the last one."""

import json
import sys

import pytest

from failaware import Store
from failaware.engine.pages import pages
from failaware.errors import StoreCorrupt
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, plain, plain_sqlite

FAR = 2**62
PAGE = 4_096


@pytest.fixture
def far(path):
    """A store in which someone else gave a fact a number far beyond the others."""
    with Store.open(path) as store:
        for n in range(5):
            store.record("order", {"n": n})
    with plain(path) as db:
        db.execute(
            "INSERT INTO event_log (event_id, event_type, event_payload, occurred_at, detected_at) "
            f"SELECT {FAR}, event_type, event_payload, occurred_at, detected_at FROM event_log WHERE event_id = 5"
        )
    return path


def failaware(*words):
    command = [sys.executable, "-m", "failaware", *map(str, words)]
    return processes.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("command", "status"),
    [("rebuild", 0), ("health --as-of 1h", 0), ("diff 1h", 0), ("seal", 0), ("verify", 1), ("export", 0)],
)
def test_a_number_far_beyond_holds_nobody_up(far, command, status, engine):
    done = failaware("--db", far, *command.split())
    assert done.returncode == status, done.stderr
    if command == "verify":
        assert {"sqlite": f"6 to {FAR - 1}", "postgres": f"event_log {FAR}"}[engine] in done.stdout


def test_what_comes_after_a_gap_is_exported_and_derived(far, path):
    failaware("--db", path, "rebuild")
    with Store.open(path) as store:
        assert_rebuild_changes_nothing(store)
    facts = [json.loads(line) for line in failaware("--db", path, "export").stdout.splitlines()]
    assert [fact["event_id"] for fact in facts if fact.get("fact") == "event"] == [1, 2, 3, 4, 5, FAR]


def test_pages_hold_every_row_once(far, path):
    with Store.open(path) as store:
        for size in (1, 2, 4, 100):
            result = store.session.read(lambda db, size=size: list(pages(db, "event_log", "event_id", FAR, size)))
            held = [number for number in (1, 2, 3, 4, 5, FAR) for first, last in result if first <= number <= last]
            assert held == [1, 2, 3, 4, 5, FAR]
            assert all(last - first < size for first, last in result)


@pytest.mark.sqlite("a damaged page of its file")
def test_a_page_in_the_place_of_the_next_one_is_told_and_holds_nobody_up(path):
    with Store.open(path) as store:
        store.record_many(("order", {"n": n, "note": "x" * 200}) for n in range(300))
    with plain_sqlite(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event_log'").fetchall()
    content = bytearray(path.read_bytes())
    first, second = children(content, root)[:2]
    content[second : second + PAGE] = content[first : first + PAGE]
    path.write_bytes(content)
    for command, status in (("rebuild", 2), ("verify", 1), ("diff 1h", 2)):
        done = failaware("--db", path, *command.split())
        assert done.returncode == status, (command, done.stderr)
    with Store.open(path) as store, pytest.raises(StoreCorrupt, match="not in the order of their numbers"):
        store.session.read(lambda db: list(pages(db, "event_log", "event_id", 300, 1)))


def children(content, number):
    """Where the pages lie that an interior page of a table names (sqlite.org/fileformat2.html, section 1.6)."""
    page = content[(number - 1) * PAGE : number * PAGE]
    assert page[0] == 5
    cells = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(int.from_bytes(page[3:5], "big"))]
    return [(int.from_bytes(page[cell : cell + 4], "big") - 1) * PAGE for cell in cells]
