"""An export is taken back where that is asked for, whole or not at all, and nowhere else."""

import gzip
import json
import subprocess
import sys
import time

import pytest

from failaware import Inspector, Store, UsageError
from failaware.cli.main import main
from failaware.errors import StoreBusy
from failaware.ledger.export import Export
from failaware.ledger.restore import restore_export
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.schema.catalogue import EXPORTED
from tests.conftest import plain, query
from tests.sizes import sized
from tests.test_same_on_both import facts

NONE = {kind.table: [] for kind in EXPORTED}
FIRST = '{"failaware": "export", "version": 1}'
END = '{"failaware": "end", "lost": 0}'


@pytest.fixture
def exported(tmp_path):
    """The lines of an export with a fact of most kinds."""
    place = tmp_path / "source.db"
    with Store.open(place) as store:
        with pytest.raises(ValueError, match="bad"), store.attempt("pay", {"n": 1}, key="k"):
            raise ValueError("bad")
        with store.attempt("pay", {"n": 2}, source="shop"):
            pass
        store.record("pay", {"n": 3})
        store.dismiss([1, 3], because="seen", by="ann")
        store.erase([3], because="asked", by="ann")
        store.rebuild(store.session.policy._replace(multiple_events=7))
        main(["--db", str(place), "ingest", str(_rejected(tmp_path))])
        seal_all(store.session, store.session.clock())
    with Inspector.open(place) as inspector:
        return list(Export(inspector.db).lines())


def _rejected(folder):
    file = folder / "bad.jsonl"
    file.write_text("{\n")
    return file


@pytest.fixture
def empty(tmp_path):
    with Store.open(tmp_path / "empty.db", synchronous="NORMAL") as store:
        yield store


def _bytes(lines):
    return [f"{line}\n".encode() for line in lines]


def restore(path, file, lines, capsys):
    file.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))
    capsys.readouterr()
    status = main(["--db", str(path), "restore", str(file)])
    output = capsys.readouterr()
    return status, output.out + output.err


def kept(path):
    with Store.open(path) as store:
        return {table: rows for table, rows in facts(store).items() if table != "event_key"}


def test_a_whole_export_makes_the_same_store_and_again_changes_nothing(path, tmp_path, exported, capsys):
    assert restore(path, tmp_path / "x", exported, capsys)[0] == 0
    before = kept(path)
    assert before == kept(tmp_path / "source.db")
    assert verify(path).findings == ()
    status, output = restore(path, tmp_path / "x", exported, capsys)
    assert (status, kept(path)) == (0, before)
    assert "0 facts restored" in output


WAYS = {
    "as it is": lambda data: data,
    "with a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "after blank lines": lambda data: b"\n \n" + data,
    "through jq": lambda data: b"".join(
        json.dumps(json.loads(line), separators=(",", ":")).encode() + b"\n" for line in data.splitlines()
    ),
    "with CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "as an array": lambda data: b"[" + b",".join(data.splitlines()) + b"]\n",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.thinned
def test_ingest_takes_no_export_however_it_is_written(path, tmp_path, exported, capsys, way, follow):
    (tmp_path / "x").write_bytes(WAYS[way]("".join(f"{line}\n" for line in exported).encode()))
    Store.open(path).close()
    status = main(["--db", str(path), "ingest", *(["--follow"] if follow else []), str(tmp_path / "x")])
    output = capsys.readouterr().err
    assert status == 2
    assert "is an export of failaware" in output
    assert "restore" in output
    assert kept(path) == NONE


@pytest.mark.parametrize("way", [way for way in WAYS if way != "as an array"])
@pytest.mark.thinned
def test_restore_takes_it_however_its_lines_are_written(path, tmp_path, exported, way, capsys):
    (tmp_path / "x").write_bytes(WAYS[way]("".join(f"{line}\n" for line in exported).encode()))
    assert main(["--db", str(path), "restore", str(tmp_path / "x")]) == 0
    assert kept(path) == kept(tmp_path / "source.db")


@pytest.mark.sqlite
def test_an_export_that_came_through_a_pipe_waits_for_a_store_that_is_locked(path, exported, monkeypatch):
    monkeypatch.setattr("failaware.engine.sqlite.writer.BUSY_TIMEOUT_S", 0.01)
    lines = [line.encode() + b"\n" for line in exported]
    with Store.open(path) as store, plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            restore_export(store.session, lines, origin="file")
        restored = restore_export(
            store.session, lines, origin="pipe", try_again=lambda _error: bool(other.execute("ROLLBACK"))
        )
    assert restored.added


@pytest.mark.sqlite("what matters is the pipe")
@pytest.mark.parametrize(("command", "status"), [("ingest", 2), ("restore", 0)])
@pytest.mark.large
def test_a_pipe_whose_first_bytes_come_by_themselves(path, exported, command, status):
    run = [sys.executable, "-m", "failaware", "--db", str(path), command, "-"]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        data = "".join(f"{line}\n" for line in exported).encode()
        process.stdin.write(data[:20])
        process.stdin.flush()
        time.sleep(0.5)
        process.stdin.write(data[20:])
        process.stdin.close()
        assert process.wait(30) == status


def test_a_compressed_one_is_one_sentence(path, tmp_path, exported, capsys):
    (tmp_path / "x.gz").write_bytes(gzip.compress("\n".join(exported).encode()))
    for command in ("ingest", "restore"):
        assert main(["--db", str(path), command, str(tmp_path / "x.gz")]) == 2
        assert "gzip" in capsys.readouterr().err


FORGED = {
    "the last id there can be": {"fact": "event", "event_id": 2**63 - 1},
    "a decision": {"fact": "decision"},
    "an attempt": {"fact": "attempt"},
    "a seal": {"fact": "seal"},
}


@pytest.mark.parametrize("what", ["event", "decision", "attempt", "seal", "reject"])
@pytest.mark.thinned
def test_nothing_is_added_to_a_store_that_is_lived_in(store, path, tmp_path, exported, capsys, what):
    store.record("pay", {"order": 1})
    seal_all(store.session, store.session.clock())
    before = kept(path)
    lines = [line for line in exported[1:-1] if json.loads(line)["fact"] in (what, "setting")]
    status, output = restore(path, tmp_path / "x", [FIRST, *lines, END], capsys)
    assert status == 2
    assert output.startswith("failaware: ")
    assert kept(path) == before
    assert store.record("pay", {"order": 2}).event_id == 2
    seal_all(store.session, store.session.clock())
    assert verify(path).findings == ()


ODD = [
    *(None, True, False, 1.5, -1, 0, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), "", "x", "\0", "a\0b", "\ud800"),
    *("\x1b[31m", "x" * 5_000, [], {}, [1], {"a": 1}, "[erased]", "ff", "FF", "é", 10**400),
]


def _fields():
    return [(kind.name, column.name) for kind in EXPORTED for column in kind.columns]


@pytest.mark.thinned
@pytest.mark.sqlite("one engine is enough: what is refused is refused before, or proved alike")
@pytest.mark.parametrize(("kind", "field"), _fields())
def test_no_odd_value_in_any_field_is_believed(empty, exported, kind, field):
    """Each is refused whole, or changes nothing that the seals prove."""
    place = next((number for number, line in enumerate(exported) if json.loads(line).get("fact") == kind), None)
    if place is None:
        pytest.skip("this export has none of it")
    line = json.loads(exported[place])
    name = "payload" if field == "event_payload" else field
    for odd in ODD[_fields().index((kind, field)) % sized(4, 1) :: sized(4, 1)]:
        changed = [*exported]
        changed[place] = json.dumps({**line, name: odd})
        if json.loads(changed[place]) == line:
            continue
        with pytest.raises(UsageError):
            restore_export(empty.session, _bytes(changed), origin="x")
    assert {table: rows for table, rows in facts(empty).items() if rows} == {}


@pytest.mark.sqlite("one engine is enough")
@pytest.mark.parametrize("change", ["missing", "twice", "swapped", "no end", "after the end", "another first", "extra"])
@pytest.mark.thinned
def test_an_export_that_is_not_whole_leaves_nothing(empty, exported, change):
    for number in range(1, len(exported) - 1):
        lines = [*exported]
        if change == "missing":
            del lines[number]
        elif change == "twice":
            lines.insert(number, lines[number])
        elif change == "swapped":
            lines[number], lines[number - 1] = lines[number - 1], lines[number]
        elif change == "no end":
            lines = lines[: number + 1]
        elif change == "after the end":
            lines.append(lines[number])
        elif change == "another first":
            lines[0] = '{"failaware": "export", "version": 2}'
        else:
            lines[number] = lines[number][:-1] + ',"more":1}'
        if json.loads(exported[number]).get("fact") == "setting" and change in ("missing", "swapped", "twice"):
            continue  # another policy derives otherwise, and proves as well
        with pytest.raises(UsageError):
            restore_export(empty.session, _bytes(lines), origin="x")
    assert {table: rows for table, rows in facts(empty).items() if rows} == {}


def test_one_of_a_damaged_store_is_taken_with_what_it_has_and_says_so(path, tmp_path, exported, capsys):
    lines = [line for line in exported if '"fact":"event","event_id":2' not in line]
    lines[-1] = '{"failaware": "end", "lost": 1}'  # as an older one says it
    status, output = restore(path, tmp_path / "x", lines, capsys)
    assert status == 1
    assert "1 fact could not be read" in output
    assert verify(path).findings
    with Store.open(path) as store:
        assert store.record("more").event_id == 4
        assert query(store, "SELECT count(*) FROM event_log") == [(3,)]
