"""PostgreSQL: several processes that record at the same time, alone and next to workers, on one server in one run."""

import asyncio
import itertools
import multiprocessing
import statistics
import time
import warnings

import psycopg

from benchmarks.table import Line
from benchmarks.work import EVENT_TYPE, as_json, payloads
from benchmarks.workloads import percentile
from tests.servers import a_server

_SECONDS = 3.0
_schemas = itertools.count(1)
_fork = multiprocessing.get_context("fork")


def _connect(server, schema):
    return psycopg.connect(
        f"host={server.folder} user=postgres dbname=postgres options='-c search_path={schema}'",
        autocommit=True,
        prepare_threshold=1,
    )


class Insert:
    """One INSERT per event."""

    @staticmethod
    def create(server, schema):
        """Create the table."""
        with _connect(server, schema) as db:
            db.execute(f"CREATE SCHEMA {schema}")
            db.execute("CREATE TABLE event (id bigint PRIMARY KEY, type text, payload text, at bigint)")
            db.execute("CREATE SEQUENCE ids")

    @staticmethod
    def client(server, schema):
        """A function that records a payload."""
        db, insert = _connect(server, schema), "INSERT INTO event VALUES (nextval('ids'), %s, %s, 0)"
        return lambda payload: db.execute(insert, (EVENT_TYPE, as_json(payload)))


class Recording:
    """failaware."""

    @staticmethod
    def create(server, schema):
        """Create the store."""
        from failaware import Store

        Store.open(server.url(schema)).close()

    @staticmethod
    def client(server, schema):
        """A function that records a payload."""
        from failaware import Store

        store = Store.open(server.url(schema))
        return lambda payload: store.record(EVENT_TYPE, payload)


class Enqueuing:
    """pgqueuer on asyncpg."""

    @classmethod
    def create(cls, server, schema):
        """Install its tables."""
        with _connect(server, schema) as db:
            db.execute(f"CREATE SCHEMA {schema}")
        with asyncio.Runner() as runner:
            runner.run(runner.run(cls._queries(server, schema)).install())

    @classmethod
    def client(cls, server, schema):
        """A function that records a payload."""
        runner = asyncio.Runner()
        queries = runner.run(cls._queries(server, schema))
        return lambda payload: runner.run(queries.enqueue(EVENT_TYPE, as_json(payload).encode()))

    @staticmethod
    async def _queries(server, schema):
        import asyncpg
        from pgqueuer.db import AsyncpgDriver
        from pgqueuer.queries import Queries

        warnings.filterwarnings("ignore", module="pgqueuer")
        settings = {"search_path": schema}
        db = await asyncpg.connect(
            host=str(server.folder), user="postgres", database="postgres", server_settings=settings
        )
        return Queries(AsyncpgDriver(db))


SYSTEMS = {"INSERT": Insert, "failaware": Recording, "pgqueuer": Enqueuing}


def _produce(server, schema, system, ready, answer):
    record, latencies = system.client(server, schema), []
    given = itertools.cycle(list(payloads(200)))
    record(next(given))
    ready.wait()
    at = time.perf_counter()
    end = at + _SECONDS
    while at < end:
        record(next(given))
        began, at = at, time.perf_counter()
        latencies.append(at - began)
    answer.send(latencies)


def _work(server, schema, ready):
    from failaware import Handlers, Store, Worker

    handlers = Handlers()
    handlers.on("*")(lambda _event: None)
    store = Store.open(server.url(schema))
    ready.wait()
    Worker(store, handlers).run()


def _run(server, system, producers, workers=0):
    """The rate of all producers together, and the 99th percentile of a call in ms."""
    schema = f"c{next(_schemas)}"
    system.create(server, schema)
    ready, pipes, running = _fork.Barrier(producers + workers), [], []
    for _ in range(producers):
        ours, theirs = _fork.Pipe()
        pipes.append(ours)
        running.append(_fork.Process(target=_produce, args=(server, schema, system, ready, theirs)))
    working = [_fork.Process(target=_work, args=(server, schema, ready)) for _ in range(workers)]
    for process in (*running, *working):
        process.start()
    latencies = [latency for pipe in pipes for latency in pipe.recv()]
    for process in working:
        process.terminate()
    for process in (*running, *working):
        process.join()
    return len(latencies) / _SECONDS, percentile(latencies, 0.99) * 1_000


def lines(rounds, note):
    """Yield every line of this module: medians of the ratios of alternating rounds."""
    with a_server(in_memory=False, fsync="on", full_page_writes="on") as server:
        cases = {(name, clients): (system, clients) for clients in (4, 16) for name, system in SYSTEMS.items()}
        cases["failaware", "4 + 4"] = (Recording, 4, 4)
        results = {case: [] for case in cases}
        for _ in range(rounds):
            for case, arguments in cases.items():
                results[case].append(_run(server, *arguments))
    for case, measured in results.items():
        rates, p99s = zip(*measured, strict=True)
        label = f"PostgreSQL, {case[0]}, {case[1]} clients"
        note(label, {"rate": statistics.median(rates), "p99 ms": statistics.median(p99s)})

    def ratio(one, other):
        pairs = zip(results[one], results[other], strict=True)
        return statistics.median(rate / base for (rate, _), (base, _) in pairs)

    for clients, bound in ((4, 1.0), (16, 4.0)):
        ours = "failaware", clients
        yield Line(8, f"PostgreSQL: {clients} clients vs. plain INSERT", ratio(ours, ("INSERT", clients)), 0.35)
        yield Line(8, f"PostgreSQL: {clients} clients vs. pgqueuer", ratio(ours, ("pgqueuer", clients)), bound)
    with_workers = "failaware", "4 + 4"
    p99 = statistics.median(p99 for _, p99 in results[with_workers])
    yield Line(8, "PostgreSQL: 4 next to 4 workers vs. INSERT by 4", ratio(with_workers, ("INSERT", 4)), 0.5)
    yield Line(8, "PostgreSQL: 4 next to 4 workers, p99", p99, 15.0, "ms", most=True)
