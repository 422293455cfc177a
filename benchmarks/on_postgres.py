"""PostgreSQL: failaware, hand-written psycopg, pgqueuer and procrastinate on one server, in one run.

The server comes from the wheel that the tests use, with its default settings: fsync and synchronous_commit are on,
and it is in the folder for temporary files (TMPDIR), which has to be on a disk: in memory, a flush costs nothing.
pgqueuer works in batches of 100 and keeps the traceback of a job's last failure; procrastinate keeps no error. The
hand-written minimum is the one for SQLite, written for psycopg.
"""

import asyncio
import itertools
import logging
import warnings
from datetime import timedelta
from functools import partial

import psycopg

from benchmarks.failaware_system import Failaware
from benchmarks.minimum import format_traceback
from benchmarks.table import Line
from benchmarks.work import EVENT_TYPE, as_json
from benchmarks.workloads import alternate, bulk, one_by_one, process
from tests.servers import a_server

BATCH = 50
_schemas = itertools.count(1)
_SCHEMA = """
CREATE TABLE event (id bigint PRIMARY KEY, type text, payload text, at bigint);
CREATE TABLE state (id bigint PRIMARY KEY, status int, attempts int, due bigint, lease bigint);
CREATE INDEX due ON state (due, id) WHERE status < 2;
CREATE TABLE attempt (id bigserial PRIMARY KEY, event bigint, no int, ok int, type text, message text, traceback text,
                      began bigint, ended bigint);
CREATE SEQUENCE ids;
"""
_RECORD = (
    "WITH e AS (INSERT INTO event VALUES (nextval('ids'), %s, %s, %s) RETURNING id, at) "
    "INSERT INTO state SELECT id, 0, 0, at, 0 FROM e"
)
_CLAIM = (
    "WITH c AS (UPDATE state SET lease = %(until)s WHERE id IN (SELECT id FROM state WHERE status < 2 "
    "AND due <= %(at)s AND lease < %(at)s ORDER BY due LIMIT %(batch)s FOR UPDATE SKIP LOCKED) RETURNING id, attempts) "
    "SELECT e.id, e.payload, c.attempts FROM c JOIN event e ON e.id = c.id"
)
_ATTEMPT = (
    "INSERT INTO attempt (event, no, ok, type, message, traceback, began, ended) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)


class OnPostgres:
    """A system in its own schema."""

    def __init__(self, server, synchronous):
        schema, commit = f"b{next(_schemas)}", {"FULL": "on", "NORMAL": "off"}[synchronous]
        self.settings = {"search_path": schema, "synchronous_commit": commit}
        self.folder = str(server.folder)
        options = " ".join(f"-c {name}={value}" for name, value in self.settings.items())
        self.conninfo = f"host={server.folder} user=postgres dbname=postgres options='{options}'"
        with psycopg.connect(self.conninfo) as db:
            db.execute(f"CREATE SCHEMA {schema}")


class Plain(OnPostgres):
    """Hand-written psycopg: one INSERT per event, or one COPY."""

    def __init__(self, server, _folder, synchronous):
        super().__init__(server, synchronous)
        self.db = psycopg.connect(self.conninfo, autocommit=True, prepare_threshold=1)
        self.db.execute(_SCHEMA)

    def record(self, payload):
        """One row."""
        self.db.execute("INSERT INTO event VALUES (nextval('ids'), %s, %s, 0)", (EVENT_TYPE, as_json(payload)))

    def record_many(self, payloads):
        """The rows of events and their states, by COPY."""
        rows = [(n, EVENT_TYPE, as_json(payload)) for n, payload in enumerate(payloads, start=1)]
        with self.db.transaction(), self.db.cursor() as cursor:
            with cursor.copy("COPY event FROM STDIN") as copy:
                for number, event_type, payload in rows:
                    copy.write_row((number, event_type, payload, 0))
            with cursor.copy("COPY state FROM STDIN") as copy:
                for number, *_ in rows:
                    copy.write_row((number, 0, 0, 0, 0))
            cursor.execute("SELECT setval('ids', %s)", (len(rows),))

    def work(self, handler):
        """Lease 50 events, run them outside any transaction, write the results in one."""
        import json

        from benchmarks.minimum import now

        while True:
            at = now()
            batch = self.db.execute(_CLAIM, {"until": at + 60_000_000, "at": at, "batch": BATCH}).fetchall()
            if not batch:
                return
            results = []
            for event, payload, attempts in batch:
                began, error = now(), None
                try:
                    handler(json.loads(payload))
                except Exception as raised:  # noqa: BLE001 - any exception is a failure
                    error = raised
                description = (
                    (None, None, None) if error is None else (type(error).__name__, str(error), format_traceback(error))
                )
                results.append((event, attempts + 1, int(error is None), *description, began, now()))
            states = [(2 if row[2] else 1, row[1], row[7], row[0]) for row in results]
            with self.db.transaction(), self.db.cursor() as cursor:
                cursor.executemany(_ATTEMPT, results)
                cursor.executemany(
                    "UPDATE state SET status = %s, attempts = %s, due = %s, lease = 0 WHERE id = %s", states
                )

    def close(self):
        """Close the connection."""
        self.db.close()


class Copied:
    """COPY of the rows that failaware writes for the same events, into the same tables, in one transaction."""

    def __init__(self, server, _folder, synchronous):
        from failaware import Store

        schema = f"b{next(_schemas)}"
        Store.open(server.url(schema), synchronous=synchronous).close()
        self.db = psycopg.connect(f"host={server.folder} user=postgres dbname=postgres")
        self.db.execute(f"SET search_path = {schema}")
        self.db.execute(f"SET synchronous_commit = {'on' if synchronous == 'FULL' else 'off'}")

    def record_many(self, payloads):
        """Events, then those that are due."""
        rows = [(n, as_json(payload)) for n, payload in enumerate(payloads, start=1)]
        with self.db.cursor() as cursor:
            with cursor.copy("COPY event_log FROM STDIN") as copy:
                for n, payload in rows:
                    copy.write_row((n, EVENT_TYPE, None, payload, 0, 0, None))
            with cursor.copy("COPY stored_unattempted FROM STDIN") as copy:
                for n, _ in rows:
                    copy.write_row((n, EVENT_TYPE, 0))
        self.db.commit()

    def close(self):
        """Close the connection."""
        self.db.close()


class FailawareOnPostgres(Failaware, OnPostgres):
    """failaware with its default settings."""

    def __init__(self, server, _folder, synchronous):
        from failaware import Store

        self.store = Store.open(server.url(f"b{next(_schemas)}"), synchronous=synchronous)


class PgQueuer(OnPostgres):
    """pgqueuer on asyncpg, its quickest driver, with batches of 100 and immediate retries."""

    def __init__(self, server, _folder, synchronous):
        super().__init__(server, synchronous)
        warnings.filterwarnings("ignore", module="pgqueuer")
        logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)
        self.runner = asyncio.Runner()
        self.runner.run(self._open())

    async def _open(self):
        import asyncpg
        from pgqueuer.db import AsyncpgDriver
        from pgqueuer.queries import Queries

        self.db = await asyncpg.connect(
            host=self.folder, user="postgres", database="postgres", server_settings=self.settings
        )
        self.queries = Queries(AsyncpgDriver(self.db))
        await self.queries.install()

    def record(self, payload):
        """Enqueue one job."""
        self.runner.run(self.queries.enqueue(EVENT_TYPE, as_json(payload).encode()))

    def record_many(self, payloads):
        """Enqueue a thousand at a time."""
        rows = [as_json(payload).encode() for payload in payloads]
        for start in range(0, len(rows), 1_000):
            chunk = rows[start : start + 1_000]
            self.runner.run(self.queries.enqueue([EVENT_TYPE] * len(chunk), chunk, [0] * len(chunk)))

    def work(self, handler):
        """Run its queue manager until no job is left."""
        self.runner.run(self._work(handler))

    async def _work(self, handler):
        import json

        from pgqueuer.errors import RetryRequested
        from pgqueuer.qm import QueueManager
        from pgqueuer.types import QueueExecutionMode

        while await self.queries.queue_size():
            manager = QueueManager(self.queries)

            @manager.entrypoint(EVENT_TYPE)
            async def handle(job):
                try:
                    handler(json.loads(job.payload))
                except Exception as error:
                    raise RetryRequested(delay=timedelta(0), reason=format_traceback(error)) from error

            await manager.run(batch_size=100, mode=QueueExecutionMode.drain)

    def close(self):
        """Close the connection."""
        self.runner.run(self.db.close())
        self.runner.close()


class Procrastinate(OnPostgres):
    """procrastinate with immediate retries."""

    def __init__(self, server, _folder, synchronous):
        super().__init__(server, synchronous)
        import procrastinate

        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=self.conninfo))
        self.handler = None
        retry = procrastinate.RetryStrategy(max_attempts=1_000, wait=0)
        self.task = self.app.task(name="capture", retry=retry)(self._apply)
        self.runner = asyncio.Runner()
        self.runner.run(self._open())

    async def _open(self):
        await self.app.open_async()
        await self.app.schema_manager.apply_schema_async()

    def _apply(self, payload):
        self.handler(payload)

    def record(self, payload):
        """Defer one job."""
        self.runner.run(self.task.defer_async(payload=payload))

    def record_many(self, payloads):
        """Defer a thousand at a time."""
        rows = [{"payload": payload} for payload in payloads]
        for start in range(0, len(rows), 1_000):
            self.runner.run(self.task.batch_defer_async(*rows[start : start + 1_000]))

    def work(self, handler):
        """Run its worker until no job is left."""
        self.handler = handler
        self.runner.run(self.app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False))

    def close(self):
        """Close the pool."""
        self.runner.run(self.app.close_async())
        self.runner.close()


SYSTEMS = {"psycopg": Plain, "failaware": FailawareOnPostgres, "pgqueuer": PgQueuer, "procrastinate": Procrastinate}
_BULK, _QUICK, _ONE, _SLOW = 50_000, 10_000, 1_000, 400  # events; procrastinate works at a few hundred a second


def lines(rounds, note):
    """Yield every line of this module, with synchronous commit."""
    with a_server(in_memory=False, fsync="on", full_page_writes="on") as server:
        systems = {name: partial(system, server) for name, system in SYSTEMS.items()}

        def compared(label, case, among=systems):
            rates = alternate({name: case(name, system) for name, system in among.items()}, rounds)
            note(f"PostgreSQL, {label}", rates)
            return rates

        def count_for(name, count):
            return _SLOW if name == "procrastinate" else count

        one = compared("record", lambda _name, system: one_by_one(system, "FULL", _ONE))
        copied = {"COPY": partial(Copied, server), **systems}
        many = compared("bulk", lambda name, system: bulk(system, count_for(name, _BULK)), copied)
        good = compared("process", lambda name, system: process(system, "FULL", count_for(name, _QUICK)))
        bad = compared(
            "process, failing", lambda name, system: process(system, "FULL", count_for(name, _QUICK // 2), failing=True)
        )
    yield Line(8, "PostgreSQL: record vs. a plain INSERT", one["failaware"] / one["psycopg"], 0.9)
    yield Line(8, "PostgreSQL: record vs. pgqueuer", one["failaware"] / one["pgqueuer"], 1.0)
    yield Line(8, "PostgreSQL: bulk vs. COPY of the same rows", many["failaware"] / many["COPY"], 0.6)
    yield Line(8, "PostgreSQL: bulk vs. pgqueuer", many["failaware"] / many["pgqueuer"], 1.0)
    yield Line(8, "PostgreSQL: bulk vs. procrastinate", many["failaware"] / many["procrastinate"], 1.0)
    yield Line(8, "PostgreSQL: process vs. psycopg by hand", good["failaware"] / good["psycopg"], 0.5)
    yield Line(8, "PostgreSQL: process vs. pgqueuer", good["failaware"] / good["pgqueuer"], 2.0)
    yield Line(8, "PostgreSQL: 30 % failing vs. pgqueuer", bad["failaware"] / bad["pgqueuer"], 3.0)
    yield Line(8, "PostgreSQL: process vs. procrastinate", good["failaware"] / good["procrastinate"], 10.0)
