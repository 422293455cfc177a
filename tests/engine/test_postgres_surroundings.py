"""Servers, databases, roles and poolers that are not as usual: it works, or one sentence says why not."""

import subprocess
import sys
from contextlib import suppress

import psycopg
import pytest

from failaware import Inspector, Store, UsageError
from failaware.engine.postgres.place import parse
from failaware.engine.settled import settled_event
from failaware.errors import FailawareError, StatementError, StoreBusy, StoreError
from failaware.ledger.copy import copy_store
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.model import NEVER
from tests.conftest import plain, query
from tests.engine.test_postgres_interrupts import waiting
from tests.engine.test_postgres_recorders import Late
from tests.servers import PGBOUNCER, a_server, a_standby_of, pgbouncer
from tests.worker.helpers import eventually

pytestmark = pytest.mark.postgres


def cli(*words):
    command = [sys.executable, "-m", "failaware", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("postgresql:///postgres", {"dbname": "postgres"}),
        ("postgresql://", {}),
        ("postgresql:///x?schema=fa&user=a+b", {"dbname": "x", "user": "a+b"}),
        ("postgres://h/d?options=-c jit=on&password=ab==", {"options": "-c jit=on", "password": "ab=="}),
        ("postgresql://u:p@h1:1,h2:2/d", {"host": "h1,h2", "port": "1,2"}),
        ("postgresql://h/d?client_encoding=LATIN1", {"client_encoding": "UTF8"}),
    ],
)
def test_a_url_is_read_as_libpq_reads_it(url, settings):
    read = psycopg.conninfo.conninfo_to_dict(parse(url).conninfo)
    assert settings.items() <= read.items()


@pytest.mark.parametrize("odd", "@#?/:% &=")
@pytest.mark.parametrize("form", ["postgresql://u:{}@127.0.0.1:1/ops", "postgresql://127.0.0.1:1/ops?password={}&x=1"])
def test_no_password_is_shown_whatever_is_in_it(odd, form):
    url = form.format(f"hun{odd}ter2{odd}x")
    with pytest.raises(FailawareError) as refused:
        Inspector.open(url)
    assert "hun" not in str(refused.value)
    assert "ter2" not in str(refused.value)


@pytest.mark.parametrize(
    "setting",
    ["schema=pg_x", "schema=pg_temp", "schema=", "connect_timeout=abc", "port=abc", "sslmode=abc", "nosuch=1"],
)
def test_a_setting_that_makes_no_sense_is_refused(path, setting):
    with pytest.raises(UsageError):
        Store.open(f"{path}&{setting}" if not setting.startswith("schema") else f"{path.partition('&')[0]}&{setting}")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_a_database_of_another_encoding_is_refused(postgres, encoding, opener):
    name = f"in_{encoding.lower()}"
    with plain(postgres.url("postgres")) as db:
        db.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
        try:
            with pytest.raises(StoreError, match=f"encoding is {encoding}, .*--encoding=UTF8"):
                opener(postgres.url("failaware", database=name))
        finally:
            db.execute(f"DROP DATABASE {name}")


@pytest.mark.thinned
@pytest.mark.parametrize(
    "setting",
    [
        "default_transaction_isolation=serializable",
        "default_transaction_isolation=repeatable%5C%20read",
        "default_transaction_deferrable=on",
        "quote_all_identifiers=on",
        "standard_conforming_strings=off",
        "IntervalStyle=iso_8601",
        "DateStyle=German",
        "bytea_output=escape",
        "transform_null_equals=on",
        "search_path=public",
    ],
)
def test_the_settings_of_a_role_change_nothing(path, setting, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    url = f"{path}&options=-c%20{setting}"
    with Store.open(url) as store, Store.open(url) as other, Inspector.open(url) as inspector:
        for n in range(4):  # in turn: each must see what the other has committed
            assert (store, other)[n % 2].record("a", "日本\\n").event_id == n + 1
        assert len(inspector.events()) == 4
        assert query(store, "SELECT DISTINCT event_payload FROM event_log") == [('"日本\\\\n"',)]
    assert verify(url).findings == ()


def test_what_the_driver_raises_reaches_nobody(store, path):
    store.record("a", 1)
    with plain(path) as db:
        db.execute("ALTER TABLE event_log RENAME COLUMN detected_at TO detected")
        db.execute("ALTER VIEW event_state RENAME TO elsewhere")
    with pytest.raises(StatementError) as refused:
        store.record("b", 2)
    assert isinstance(refused.value.__cause__, psycopg.Error)
    with Inspector.open(path) as inspector:
        for ask in (inspector.health, inspector.events, lambda: inspector.events("type:\udcff")):
            with pytest.raises(FailawareError):
                ask()
    for command in (["events"], ["events", "type:\udcff"]):
        done = cli("--db", path, *command)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith("failaware: ")


def test_a_handle_that_was_closed_says_so(store, path):
    inspector = Inspector.open(path)
    inspector.close()
    with pytest.raises(StoreError, match="was closed; open it again"):
        inspector.health()


def test_one_query_that_fails_does_not_make_the_other_parts_look_damaged(store, path):
    store.record("a", 1)
    with plain(path) as db:
        db.execute("ALTER TABLE archive_log RENAME TO elsewhere")
    result = verify(path)
    assert {finding.part for finding in result.findings} == {"schema", "facts"}
    assert result.parts == ("schema", "facts", "derived")


@pytest.mark.parametrize("schema", ["s", "e", "a", "t"])
def test_a_store_whose_schema_is_named_like_an_alias_of_a_view_verifies(postgres, schema):
    url = postgres.url(schema)
    with Store.open(url) as store:
        store.record("a", 1)
    try:
        assert verify(url).findings == ()
    finally:
        postgres.drop(schema)


@pytest.mark.parametrize("at", ["schema", "facts", "derived"])
def test_a_connection_that_is_lost_is_not_taken_for_damage(store, path, at):
    store.record("a", 1)
    seal_all(store.session, store.session.clock())

    def cut(part, *_):
        if part == at:
            with plain(path) as db:
                db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'verifies'")

    findings = verify(f"{path}&application_name=verifies", progress=cut).findings
    assert findings
    assert all(finding.problem.startswith("could not be verified") for finding in findings)


@pytest.mark.large
def test_a_standby_answers_as_its_primary_does_also_about_the_past():
    with a_server() as server:
        primary = server.url("s")
        with Store.open(primary) as store:
            store.record("a", 1)
            with suppress(ValueError), store.attempt("a", key="k"):
                raise ValueError("no")
            before = store.session.clock()
            store.dismiss([2], because="seen")
        with a_standby_of(server) as standby:
            url = standby.url("s")
            answers = []
            for place in (primary, url):
                with Inspector.open(place) as inspector, inspector.as_of(before) as then:
                    assert inspector.db.change_token() == inspector.db.change_token()
                    explained = inspector.explain("event/2", facts=True), then.explain("event/2", facts=True)
                    answers.append((inspector.health(), then.health(), then.events(), explained, then.diff(NEVER)))
            assert answers[0] == answers[1]
            (finding,) = verify(url).findings
            assert finding.part == "schema"
            assert "could not be verified" in finding.problem
            assert "is a standby" in finding.problem
            with pytest.raises(StoreError, match="is a standby"):
                Store.open(url)
            for command in (["health"], ["events", "--as-of", "1h"], ["diff", "1h"], ["explain", "event/1"]):
                assert cli("--db", url, *command).returncode == 0
            assert cli("--db", url, "verify").returncode == 1


@pytest.mark.large
def test_a_standby_knows_which_events_may_still_become_visible(tmp_path):
    with a_server() as server:
        primary = server.url("s")
        with Store.open(primary) as store, a_standby_of(server) as standby, Inspector.open(standby.url("s")) as reader:
            late = Late(primary)
            store.record("a")
            eventually(lambda: reader.health().total_events == 1)
            with pytest.raises(StoreBusy, match="has been recording an event for a long time"):
                settled_event(reader.db, patience_s=0.1)
            late.commit()
            late.close()
            eventually(lambda: reader.health().total_events == 2)
            assert settled_event(reader.db, patience_s=10) == late.event_id + 1
            assert copy_store(standby.url("s"), tmp_path / "copy.db", progress=lambda *_: None).differences == ()


@pytest.mark.large
def test_health_says_how_far_a_standby_is_behind():
    with (
        a_server() as server,
        Store.open(server.url("s")) as store,
        a_standby_of(server) as standby,
        Inspector.open(standby.url("s")) as reader,
        plain(standby.url("s")) as replay,
    ):
        eventually(lambda: reader.db.role() == "as postgres, on a standby, up to date with its primary")
        replay.execute("SELECT pg_wal_replay_pause()")
        eventually(lambda: replay.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() == ("paused",))
        store.record("a", 1)
        eventually(lambda: reader.db.role().endswith("s behind its primary"))
        assert reader.health().total_events == 0
        replay.execute("SELECT pg_wal_replay_resume()")
        eventually(lambda: reader.health().total_events == 1)
        shown = cli("--db", standby.url("s"), "health").stdout
        assert "as postgres, on a standby, " in shown
        server.stop("fast")
        eventually(lambda: reader.db.role().endswith("which receives nothing from its primary"))
        server.start()


@pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer")
@pytest.mark.parametrize("mode", ["transaction", "statement", "session"])
def test_a_pooler_never_shows_another_store(path, postgres, mode):
    with Store.open(path) as store, pgbouncer(postgres, mode) as place:
        store.record("a", 1)
        url = path.replace(f"host={postgres.folder}", place)
        if mode == "session":
            with Store.open(url) as other, Inspector.open(url) as inspector:
                assert other.record("a", 2).event_id == 2
                assert inspector.health().total_events == 2
                with waiting(path, "recording", lambda: other.record("a", 3)):
                    other.session._db.end_wait()
                assert query(other, "SELECT count(*) FROM event_log") == [(3,)]
            return
        with pytest.raises(StoreError, match=r"in transaction mode, .* it can only be read|statement pooling mode"):
            Store.open(url)
        if mode == "statement":
            with pytest.raises(StoreError, match="statement pooling mode"):
                Inspector.open(url)


@pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer")
@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.large
def test_reports_are_the_same_through_a_pooler_also_while_other_stores_are_read(path, postgres, mode):
    other = f"{path}x"
    with Store.open(path) as store, Store.open(other) as another:
        store.record("a", 1)
        with suppress(ValueError), store.attempt("a", key="k"):
            raise ValueError("no")
        before = store.session.clock()
        store.dismiss([2], because="seen")
        another.record("of another store")
        with pgbouncer(postgres, mode) as place:
            answers = []
            urls = [each.replace(f"host={postgres.folder}", place) for each in (path, other)]
            for url in (path, urls[0]):
                with Inspector.open(url) as inspector, Inspector.open(urls[1]) as aside:
                    for _ in range(3):
                        assert aside.health().waiting == (("of another store", 1),)
                        assert inspector.health().total_events == 2
                    with inspector.as_of(before) as then:
                        explained = inspector.explain("event/2", facts=True), then.explain("event/2", facts=True)
                        events = inspector.events("status:DEAD"), inspector.event(2), inspector.clusters()
                        answers.append((inspector.health(), events, then.health(), explained, then.diff(NEVER)))
            assert answers[0] == answers[1]
            findings = verify(urls[0]).findings
            assert [finding.part for finding in findings] == (["schema"] if mode == "transaction" else [])
            for command in (["health"], ["clusters"], ["events", "--as-of", "1h"], ["diff", "1h"]):
                assert cli("--db", urls[0], *command).returncode == 0
            with psycopg.connect(urls[0].partition("&schema")[0].partition("?schema")[0], autocommit=True) as session:
                assert session.execute("SHOW search_path").fetchone() == ('"$user", public',)
    postgres.drop(other.rpartition("schema=")[2])
