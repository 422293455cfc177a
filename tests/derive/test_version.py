"""A store that another version of failaware derived is not taken for a corrupt one, and a writer derives it again."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from failaware import Inspector, Store
from failaware.cli.main import main
from failaware.derive.version import our_derivation
from failaware.engine import derivation as engine
from failaware.errors import StoreError, StoreNewer, StoreOlder
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, derived, plain, query
from tests.derive.versions import commands, copy_of_the_code, leave_as_another, python
from tests.sizes import sized
from tests.test_recipes import applied

OLDER = "Derived by an older version of failaware (0.0.9); run 'failaware rebuild'"
NEWER = "Derived by a newer version of failaware (99.1); upgrade failaware"
DIGESTS = """
import json, sys
digests = {}
for folder in sys.argv[1:]:
    for name in [name for name in sys.modules if name.partition(".")[0] == "failaware"]:
        del sys.modules[name]
    sys.path[0] = folder
    from failaware.derive.version import our_derivation
    digests[folder] = our_derivation()[1:]
print(json.dumps(digests))
"""


@pytest.fixture
def held(path, clock):
    """A store with a cluster, sealed and closed; what it derives."""
    with Store.open(path, synchronous="NORMAL", clock=clock) as store:
        for n in range(3):
            with pytest.raises(ValueError, match="bad"), store.attempt("pay", {"n": n}):
                raise ValueError("bad")
        seal_all(store.session, clock())
        return derived(store)


def fail(store):
    with pytest.raises(ValueError, match="bad"), store.attempt("pay"):
        raise ValueError("bad")


def answer(capsys, path, *words, status=0):
    assert main(["--db", str(path), *words]) == status
    return capsys.readouterr().out


def assert_current(path, held):
    assert verify(path).findings == ()
    assert verify(path).derivation == "current"
    with Store.open(path) as store:
        assert derived(store) == held


DERIVING = (
    "failaware/derive",
    "failaware/engine",
    "failaware/schema",
    "failaware/policy.toml",
    "failaware/model",
    *(
        f"failaware/{name}.py"
        for name in ("__init__", "digest", "errors", "json_text", "place", "rules", "text", "version", "warn")
    ),
)

# Which changes make another version.

CHANGES = {
    "a rule's condition": (
        "failaware/rules.py",
        "attempts > :repeated_retries",
        "attempts >= :repeated_retries",
    ),
    "a rule's severity": ("failaware/rules.py", "        Severity.LOW,", "        Severity.MEDIUM,"),
    "a rule's sentence": (
        "failaware/rules.py",
        "{episodes:episode}{came_back} since",
        "{episodes:episode} since",
    ),
    "a blank in a sentence": ("failaware/rules.py", "'{template}' in {episodes", "'{template}'  in {episodes"),
    "the words of a sentence": ("failaware/derive/severity.py", "after it had recovered", "after recovery"),
    "the evidence": ("failaware/derive/severity.py", "WHEN 'DEAD' THEN events", "WHEN 'DEAD' THEN 2 * events"),
    "a default threshold": ("failaware/policy.toml", "repeated_retries = ", "repeated_retries = 1"),
    "a statement": (
        "failaware/derive/fold.sql",
        "DELETE FROM stored_counts WHERE events = 0",
        "DELETE FROM stored_counts WHERE events < 1",
    ),
    "a scope": ("failaware/derive/scope.py", '"attempt_id <= :newest_known"', '"attempt_id < :newest_known"'),
    "a recovery": ("failaware/derive/scope.py", "r.failed_at < entered", "r.failed_at <= entered"),
    "a derived table": (
        "failaware/schema/derived.sql",
        "  rule            TEXT,\n  reason",
        "  rule TEXT, more TEXT,\n  reason",
    ),
    "an index": (
        "failaware/schema/derived.sql",
        "ON stored_counts (cluster_id)",
        "ON stored_counts (cluster_id, events)",
    ),
    "an event's reason": ("failaware/rules.py", "failed, none will follow", "failed, and none will follow"),
    "a view": ("failaware/schema/views.sql", "ISO(s.computed_at) AS computed_at", "s.computed_at"),
    "the fingerprint": ("failaware/derive/__init__.py", "FINGERPRINT_VERSION = 12", "FINGERPRINT_VERSION = 13"),
}
SAME = {
    "nothing": None,
    "a comment on statements": (
        "failaware/derive/fold.sql",
        "-- name: count_new_events\n",
        "-- name: count_new_events\n-- It's new.\n",
    ),
    "blanks in a statement": (
        "failaware/derive/fold.sql",
        "DELETE FROM stored_counts WHERE events = 0",
        "DELETE  FROM stored_counts\n WHERE events=0",
    ),
    "a comment on a column": ("failaware/schema/derived.sql", "-- 0 or 1", "-- it's 0, or 1"),
    "blanks in a table": (
        "failaware/schema/derived.sql",
        "  rule            TEXT,\n  reason",
        "  rule TEXT,\n\n  reason",
    ),
    "a comment on a threshold": (
        "failaware/policy.toml",
        "recurring_episodes = 2  #",
        "recurring_episodes = 2  # really",
    ),
    "a docstring": ("failaware/rules.py", '"""The severity rules, and', '"""Severity rules, and'),
    "a condition on two lines": (
        "failaware/rules.py",
        "\"sync_status = 'DEAD' AND dismissed = 0\"",
        "\"sync_status = 'DEAD'\\n  AND dismissed=0\"",
    ),
    "the release": ("failaware/version.py", '__version__ = "0.1.0"', '__version__ = "9.0.0"'),
}


@pytest.fixture(scope="module")
def digests(tmp_path_factory):
    """The digests of copies of the code, by what was changed in each, made in one process."""
    folder = tmp_path_factory.mktemp("versions")
    folders = {
        what: copy_of_the_code(folder / str(number), *([change] if change else []), parts=DERIVING)
        for number, (what, change) in enumerate((CHANGES | SAME).items())
    }
    done = python(folder, "-c", DIGESTS, *map(str, folders.values()))
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return {what: made[str(place)] for what, place in folders.items()}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.thinned
def test_what_makes_another_version(digests, what):
    assert digests[what] != digests["nothing"]


@pytest.mark.parametrize("what", SAME)
def test_what_makes_no_other_version(digests, what):
    assert digests[what] == list(our_derivation()[1:])


# What readers say of it.


@pytest.mark.parametrize(("version", "sentence"), [("0.0.9", OLDER), ("99.1", NEWER)])
def test_every_reader_says_it(held, path, capsys, version, sentence):
    leave_as_another(path, failaware=version)
    assert f"{sentence}." in answer(capsys, path, "health")
    assert f"{sentence}." in answer(capsys, path, "explain", "event/1")
    state = sentence.split()[3]
    for words in (("health",), ("explain", "event/1"), ("verify",)):
        output = json.loads(answer(capsys, path, *words, "--json", status=3 if words == ("verify",) else 0))
        assert (output["derivation"], output["derived_by"]) == (state, version)


def test_a_store_without_a_mark_is_older(held, path, capsys):
    with plain(path) as db:
        db.execute("DELETE FROM setting WHERE name = 'derivation'")
    assert "Derived by an older version of failaware; run 'failaware rebuild'." in answer(capsys, path, "health")
    assert verify(path).derivation == "older"
    Store.open(path).close()
    assert_current(path, held)


def test_nothing_is_said_of_a_current_store(held, path, capsys):
    for words in (("health",), ("explain", "event/1"), ("verify",)):
        assert "erived by" not in answer(capsys, path, *words)
    assert json.loads(answer(capsys, path, "health", "--json"))["derivation"] == "current"


def test_the_past_is_derived_by_this_version_anyway(held, path, clock):
    leave_as_another(path)
    with Inspector.open(path, clock=clock) as inspector, inspector.as_of(clock.now) as then:
        assert inspector.health().derivation == "older"
        assert then.health().derivation == "current"
        assert then.explain("event/1").derivation == "current"


def test_verify_tells_it_from_corruption(held, path, capsys):
    leave_as_another(path)
    output = answer(capsys, path, "verify", status=3)
    assert "ok      schema" in output
    assert "ok      facts" in output
    assert f"older   derived: not verified. {OLDER}." in output
    assert "FAILED" not in output
    assert "older" not in answer(capsys, path, "verify", "--facts-only")
    with plain(path, guarded=False) as db:
        db.execute("UPDATE attempt_log SET worker = 'mallory:1' WHERE attempt_id = 2")
    output = answer(capsys, path, "verify", status=1)
    assert "attempt_log 2: was changed since it was sealed" in output
    assert f"older   derived: not verified. {OLDER}." in output


def test_derived_rows_that_differ_under_our_own_mark_are_corruption(held, path, capsys):
    with plain(path) as db:
        db.execute("DELETE FROM cluster_hour")
    assert "FAILED  derived" in answer(capsys, path, "verify", status=1)


# Who writes derives it again.


@pytest.mark.large
def test_it_is_derived_again_by_who_opens_it_for_writing(held, path):
    leave_as_another(path)
    with Store.open(path) as store:
        assert derived(store) == held
    assert_current(path, held)


def test_rebuild_does_it(held, path, capsys):
    leave_as_another(path)
    assert "rebuilt from the facts" in answer(capsys, path, "rebuild")
    assert "Derived by" not in answer(capsys, path, "health")
    assert_current(path, held)


def test_a_policy_comes_along_when_it_is_derived_again(held, path, tmp_path, capsys):
    leave_as_another(path)
    (tmp_path / "mine.toml").write_text("multiple_events = 50\n")
    answer(capsys, path, "rebuild", "--policy", str(tmp_path / "mine.toml"))
    with Store.open(path) as store:
        assert store.session.policy.multiple_events == 50
        assert_rebuild_changes_nothing(store)
        assert query(store, "SELECT severity FROM failure_cluster") == [(None,)]


def test_many_at_once_do_it_once(held, path):
    leave_as_another(path)

    def record(n):
        with Store.open(path) as store:
            return store.record("more", {"n": n}).event_id

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(record, range(6))) == list(range(4, 10))
    assert verify(path).findings == ()


@pytest.mark.thinned
@pytest.mark.large
def test_killed_in_the_middle_the_next_one_does_it(path, put_sample):
    put_sample(sized(120, 600))
    with Store.open(path) as store:
        before = derived(store)
    leave_as_another(path)
    program = "import sys; from failaware import Store; print('here', flush=True); Store.open(sys.argv[1]).close()"
    for n in range(sized(3, 12)):
        with processes.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(n * 0.03)
            process.send_signal(signal.SIGKILL)
        state = verify(path)
        assert state.findings == ()
        if state.derivation == "current":
            leave_as_another(path)
    Store.open(path).close()
    assert_current(path, before)


def test_what_fails_in_the_middle_leaves_it_as_it_was(held, path, monkeypatch):
    leave_as_another(path)
    monkeypatch.setattr("failaware.derive.fold.update_cluster_severities", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Store.open(path)
    monkeypatch.undo()
    assert verify(path).derivation == "older"
    Store.open(path).close()
    assert_current(path, held)


def test_a_large_store_is_announced(held, path, monkeypatch):
    monkeypatch.setattr(engine, "_MANY", 3)
    leave_as_another(path)
    with pytest.warns(RuntimeWarning, match="derived by an older version.* from 3 attempts, which takes about"):
        Store.open(path).close()


# What a newer one derived stays so.


def test_what_a_newer_one_derived_is_refused_to_writers(held, path, capsys):
    leave_as_another(path, failaware="99.1")
    with pytest.raises(StoreNewer, match=r"derived by a newer failaware \(99\.1, this is .*\); upgrade failaware"):
        Store.open(path)
    assert main(["--db", str(path), "requeue", "1", "--because", "x"]) == 2
    assert verify(path).derivation == "newer"
    answer(capsys, path, "rebuild")  # as its user asks for
    assert_current(path, held)


@pytest.mark.parametrize(
    ("version", "newer"),
    [("0.1.0", False), ("0.0.99", False), ("0.1.1", True), ("0.10", True), ("1.0.0rc1", True), ("x", False)],
)
def test_versions_are_compared_by_their_numbers(version, newer, held, path):
    leave_as_another(path, failaware=version)
    assert verify(path).derivation == ("newer" if newer else "older")


@pytest.mark.parametrize(("version", "error"), [("99.1", StoreNewer), ("0.0.9", StoreError)])
def test_a_writer_that_is_open_meanwhile_adds_nothing(path, version, error):
    with Store.open(path) as store:
        fail(store)
        leave_as_another(path, failaware=version, derived=False)
        for write in (lambda: store.record("b"), lambda: store.dismiss([1], because="x"), store.rebuild):
            with pytest.raises(error, match=rf"another version of failaware \({version}.*nothing was written"):
                write()
        assert query(store, "SELECT count(*) FROM event_log") == [(1,)]
    if error is StoreError:
        with Store.open(path) as store:
            store.record("b")
        assert verify(path).findings == ()


def test_the_same_derivation_by_another_release_is_current(held, path):
    with plain(path) as db:
        ((mark,),) = db.execute("SELECT value FROM setting WHERE name = 'derivation'").fetchall()
        db.execute("UPDATE setting SET value = ? WHERE name = 'derivation'", (f"99.1 {mark.partition(' ')[2]}",))
    assert_current(path, held)


# Other derived tables and views.


def change_tables(path, failaware="0.0.9"):
    """As if another version had a view with other words, and a column more."""
    with plain(path) as db:
        for view in ("severities", "clusters"):
            db.execute(f"DROP VIEW {view}")
        db.execute("ALTER TABLE failure_cluster ADD COLUMN more TEXT")
        db.execute("CREATE VIEW severities AS SELECT 1 AS other")
    leave_as_another(path, failaware=failaware, tables="fedcba98")


def test_other_derived_tables_are_made_again(held, path, capsys):
    change_tables(path)
    with pytest.raises(StoreOlder, match=r"derived by an older failaware \(0\.0\.9\).*'failaware rebuild'"):
        Inspector.open(path)
    output = answer(capsys, path, "verify", status=3)
    assert "ok      schema" in output
    assert "ok      facts" in output
    answer(capsys, path, "rebuild")
    assert_current(path, held)


def test_other_derived_tables_of_a_newer_version_are_refused_until_its_user_goes_back(held, path, capsys):
    change_tables(path, "99.1")
    for opening in (Inspector.open, Store.open):
        with pytest.raises(StoreNewer, match="derived by a newer failaware"):
            opening(path)
    answer(capsys, path, "verify", status=3)
    answer(capsys, path, "rebuild")
    assert_current(path, held)


def test_guards_are_verified_whoever_derived_it(held, path, capsys):
    change_tables(path)
    with plain(path, guarded=False) as db:
        if "://" in str(path):
            db.execute("DROP FUNCTION event_log_refuses_update CASCADE")
        else:
            db.execute("DROP TRIGGER IF EXISTS event_log_refuses_update")
    assert "FAILED  schema" in answer(capsys, path, "verify", status=1)


@pytest.mark.postgres("its roles")
def test_a_role_that_writes_derives_again_and_one_that_reads_only_says_it(held, path, capsys):
    name = path.rpartition("=")[2]
    answer(capsys, path, "init", "--roles", name)
    writer, reader = (path.replace("postgres@", f"{name}_{role}@") for role in ("writer", "reader"))
    with plain(path) as db:
        for role in ("writer", "reader"):
            db.execute(f"ALTER ROLE {name}_{role} LOGIN")
    leave_as_another(path)
    assert f"{OLDER}." in answer(capsys, reader, "health")
    assert "older   derived" in answer(capsys, reader, "verify", status=3)
    assert main(["--db", reader, "rebuild"]) == 2
    assert verify(path).derivation == "older"
    Store.open(writer).close()
    assert_current(path, held)
    change_tables(path)
    assert main(["--db", writer, "rebuild"]) == 2
    assert "must be owner" in capsys.readouterr().err
    answer(capsys, path, "rebuild")
    assert "ok      derived" in answer(capsys, reader, "verify")
    Store.open(writer).close()


# Where a store goes on.


@pytest.mark.large
def test_copies_and_exports_are_derived_where_they_are_made(held, path, tmp_path, capsys):
    leave_as_another(path)
    file, other = tmp_path / "facts.jsonl", tmp_path / "other.db"
    answer(capsys, path, "export", "--out", str(file))
    assert "derivation" not in file.read_text()
    answer(capsys, other, "restore", str(file))
    assert_current(other, held)
    answer(capsys, path, "copy", str(path), str(tmp_path / "copy.db"))
    assert_current(tmp_path / "copy.db", held)


def test_an_archive_is_derived_where_it_is_made_and_by_rebuild(path, tmp_path, capsys):
    archive = tmp_path / "old.db"
    with Store.open(path) as store:
        for _ in range(3):
            fail(store)
        store.dismiss([1, 2], because="seen")
        seal_all(store.session, store.session.clock())
    before = datetime.now(UTC).isoformat()
    answer(capsys, path, "archive", "--before", before, "--to", str(archive), "--because", "old")
    assert verify(archive).derivation == verify(path).derivation == "current"
    leave_as_another(archive)
    assert "older   derived" in answer(capsys, archive, "verify", status=3)
    answer(capsys, archive, "rebuild")
    assert "ok      derived" in answer(capsys, archive, "verify")


# The recipes of docs/architecture.md, with two copies of the code.


def widened(folder):
    applied("architecture.md", "A severity rule", folder)
    (folder / "failaware/policy.toml").write_text(
        (folder / "failaware/policy.toml").read_text().replace("widespread_events = 100", "widespread_events = 3")
    )


VERSIONS = {
    "a rule": widened,
    "a statement": lambda folder: copy_of_the_code(
        folder,
        (
            "failaware/derive/fold.sql",
            "SELECT event_type, 'PENDING', 0, 0, '', count(*)",
            "SELECT event_type, 'PENDING', 0, 0, '', 2 * count(*)",
        ),
    ),
    "the fingerprint": lambda folder: copy_of_the_code(folder, CHANGES["the fingerprint"]),
    "an event's reason": lambda folder: copy_of_the_code(folder, CHANGES["an event's reason"]),
}


@pytest.mark.thinned
@pytest.mark.parametrize("version", VERSIONS)
def test_a_release_that_derives_otherwise(version, held, path, tmp_path):
    VERSIONS[version](tmp_path / "code")
    sentence = f"Derived by an older version of failaware ({our_derivation().failaware}); run 'failaware rebuild'."
    entity = f"cluster/{held['failure_cluster'][0][0]}"
    reports = (("health",), ("explain", entity), ("verify",))
    ended = commands(tmp_path / "code", path, *reports, ("rebuild",), *reports)
    assert [status for status, _, _ in ended] == [0, 0, 3, 0, 0, 0, 0]
    assert [sentence in out for _, out, _ in ended] == [True] * 3 + [False] * 4
    assert not any(err for _, _, err in ended)
    assert not any("FAILED" in out for _, out, _ in (ended[2], ended[6]))  # what verify says
    if version == "a rule":
        assert ["because widespread" in out for _, out, _ in ended] == [False] * 5 + [True, False]
