"""Citus: a store in a distributed schema is folded at the node that has the schema, and read and recorded at any.

These tests need a cluster of two nodes or more; docs/scale.md says how to start one.
"""

import itertools
import os
import time
from threading import Thread

import psycopg
import pytest

from failaware import Handlers, Inspector, Retry, Store, StoreError, Worker
from failaware.engine.postgres import citus as dialect
from failaware.engine.postgres import roles
from failaware.engine.postgres.place import parse
from failaware.ledger.copy import copy_facts
from failaware.ledger.transfer import finish
from failaware.ledger.verify import verify
from tests import citus
from tests.conftest import derived, query

needs_cluster = pytest.mark.skipif(citus.URL is None, reason="FAILAWARE_CITUS_URL names no Citus cluster")
_schemas = itertools.count(1)


def test_a_connection_string_of_several_hosts_is_one_for_each():
    several = parse("postgresql://app@one:5433,two:5434/ops?schema=s").conninfo
    assert [psycopg.conninfo.conninfo_to_dict(each)["host"] for each in dialect.hosts(several)] == ["one", "two"]
    assert [psycopg.conninfo.conninfo_to_dict(each)["port"] for each in dialect.hosts(several)] == ["5433", "5434"]
    assert dialect.hosts(parse("postgresql://app@one/ops").conninfo) == []


@pytest.fixture
def schema():
    return f"citus{os.getpid()}_{next(_schemas)}"


@pytest.fixture
def urls(schema):
    """Of a new store: the URL that names every node, then those of the node that has its schema and of the others."""
    with citus.distributed(schema) as (every, *each):
        Store.open(each[0]).close()
        here, _ = citus.node_of(schema)
        yield every, each[here], *(url for number, url in enumerate(each) if number != here)


def fail(event):
    if event.event_id % 2:
        raise ValueError(f"bad {event.event_id}")


def work(url):
    handlers = Handlers()
    handlers.on("*", retry=Retry(max_attempts=1))(fail)
    with Store.open(url) as store:
        Worker(store, handlers).run(until_idle=True)


@needs_cluster
def test_a_store_is_folded_only_at_the_node_that_has_it(urls, schema):
    _, here, *others = urls
    number, nodes = citus.node_of(schema)
    for other in others:
        with Store.open(other) as store:
            event = store.record("job.run")
            with pytest.raises(StoreError, match=f"connect to {nodes[number]}, which has it$"):
                store.dismiss([event.event_id], because="a test")
    with Store.open(here) as store:
        store.dismiss([1], because="a test")
    work(here)
    with Inspector.open(here) as inspector:
        assert inspector.health().total_events == len(others)
        assert inspector.health().dismissed == 1
    assert verify(here).findings == ()


@needs_cluster
def test_events_are_recorded_through_any_node_and_none_twice(urls):
    every, here, *others = urls
    ids, keyed = [], set()
    for url in (here, *others, every) * 2:
        with Store.open(url) as store:
            ids += [store.record("job.run").event_id, *(e.event_id for e in store.record_many([("job.run", {})] * 3))]
            keyed.add(store.record("job.run", key="the same").event_id)
    assert ids == sorted(set(ids))
    assert len(keyed) == 1
    assert verify(here).findings == ()


@needs_cluster
def test_every_node_answers_the_same(urls):
    _, here, *others = urls
    with Store.open(here) as store:
        store.record_many([("job.run", {"n": n}) for n in range(20)])
    before = time.time_ns() // 1_000
    work(here)
    after = time.time_ns() // 1_000

    def answers(url):
        with Inspector.open(url) as inspector, inspector.as_of(before) as past:
            then = past.health(), past.clusters()
            return inspector.health(), inspector.clusters(), then, past.diff(after)

    for other in others:
        assert repr(answers(other)) == repr(answers(here))
        assert verify(other).findings == ()


@needs_cluster
def test_a_change_at_one_node_is_noticed_through_another(urls):
    _, here, other, *_ = urls
    with Store.open(here) as store, Inspector.open(other) as inspector:
        token = inspector.db.change_token()
        assert inspector.db.change_token() == token
        store.record("job.run")
        recorded = inspector.db.change_token()
        store.dismiss([1], because="a test")
        assert len({token, recorded, inspector.db.change_token()}) == 3


@needs_cluster
def test_a_writer_follows_the_schema_if_its_url_names_the_node(urls, schema):
    every, here, *_ = urls
    number, nodes = citus.node_of(schema)
    with Store.open(every) as following, Store.open(here) as staying:
        for store in (following, staying):
            store.record("job.run")
        target = (number + 1) % len(nodes)
        citus.move(schema, target)
        following.dismiss([1], because="a test")
        assert [store.record("job.run").event_id for store in (following, staying)] == [3, 4]
        with pytest.raises(StoreError, match=f"connect to {nodes[target]}, which has it$"):
            staying.dismiss([2], because="a test")
        citus.move(schema, number)
        for store, event_id in ((following, 2), (staying, 3)):
            store.dismiss([event_id], because="a test")
    assert verify(here).findings == ()


@needs_cluster
def test_a_move_under_load_loses_nothing(urls, schema):
    every, here, other, *_ = urls
    acknowledged, until = [], [float("inf")]

    def record(url):
        with Store.open(url) as store:
            while time.monotonic() < until[0]:
                acknowledged.append(store.record("job.run").event_id)

    threads = [Thread(target=record, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    number, nodes = citus.node_of(schema)
    for target in (number + 1, number):
        citus.move(schema, target % len(nodes))
    until[0] = 0
    for thread in threads:
        thread.join()
    with Store.open(every) as store:
        store.dismiss(acknowledged, because="a test")
    with Inspector.open(other) as inspector:
        assert sorted(acknowledged) == [
            row[0] for row in inspector.db.query("SELECT event_id FROM event_log ORDER BY 1")
        ]
        assert inspector.health().dismissed == len(acknowledged)
    assert verify(here).findings == ()


@needs_cluster
def test_roles_may_do_the_same_as_elsewhere(urls, schema):
    every, _, other, *_ = urls
    coordinator = f"{citus.URL.partition('?')[0]}?schema={schema}"
    names = roles.create(coordinator)
    users = [f"{name}_user" for name in names]
    for name, user in zip(names, users, strict=True):
        citus.run(f"CREATE ROLE {user} LOGIN; GRANT {name} TO {user}")
    try:
        writer, reader = (f"postgresql://{user}@{every.rpartition('@')[2]}" for user in users)
        with Store.open(writer) as store:
            store.record_many([("job.run", {"n": n}) for n in range(10)])
        work(writer)
        with Inspector.open(reader) as inspector:
            assert inspector.health().total_events == 10
        with pytest.raises(StoreError, match=r"permission denied|may not"), Store.open(reader) as store:
            store.record("job.run")
        assert verify(other).findings == ()
    finally:
        gone = ", ".join((*users, *names))
        citus.run(f"DROP SCHEMA {schema} CASCADE; DROP OWNED BY {gone}; DROP ROLE {gone}")


@needs_cluster
def test_an_existing_store_is_distributed_with_its_facts(schema, tmp_path):
    place = f"{citus.URL.partition('?')[0]}?schema={schema}"
    try:
        with Store.open(place) as store:
            store.record_many([("job.run", {"n": n}) for n in range(10)])
        work(place)
        citus.run(f"SET citus.enable_unsafe_triggers = on; SELECT citus_schema_distribute('{schema}')")
        with Store.open(place) as store:
            assert store.record("job.run").event_id == 11
            number, nodes = citus.node_of(schema)
        citus.move(schema, (number + 1) % len(nodes))
        with Store.open(place) as store:
            assert store.record("job.run").event_id == 12
        assert verify(place).findings == ()
        with Inspector.open(place) as source, Store.open(tmp_path / "copy.db") as target:
            copy_facts(source.db, target.session)
            finish(target.session)
            assert query(target, "SELECT count(*) FROM event_log") == [(12,)]
    finally:
        citus.run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@needs_cluster
def test_a_store_copied_into_a_distributed_schema_derives_the_same(urls, tmp_path):
    _, here, *_ = urls
    with Store.open(tmp_path / "store.db") as store:
        store.record_many([("job.run", {"n": n}) for n in range(30)])
    work(tmp_path / "store.db")
    with Inspector.open(tmp_path / "store.db") as source, Store.open(here) as target:
        copy_facts(source.db, target.session)
        finish(target.session)
        with Store.open(tmp_path / "store.db") as store:
            assert derived(target) == derived(store)
        assert target.record("job.run").event_id == 31
