"""The attempt is recorded for anything that a handler raises, returns or does to its thread, task or transaction."""

import asyncio
import contextlib
import functools
import threading
from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from failaware import Handlers, Retry, UsageError
from failaware.errors import HandlerError
from tests.conftest import query
from tests.worker.helpers import run

ONCE = Retry(max_attempts=1)


@dataclass(frozen=True)
class Frozen(Exception):
    sku: str


@dataclass(frozen=True, slots=True)
class FrozenWithSlots(Exception):
    sku: str


class NoAttribute(Exception):
    def __getattribute__(self, name):
        raise KeyError(name)


class NoDescription(Exception):
    def __str__(self):
        raise SystemExit("from __str__")

    __repr__ = __str__

    @property
    def __class__(self):
        raise RuntimeError

    @property
    def __traceback__(self):
        raise RuntimeError

    @__traceback__.setter
    def __traceback__(self, value):
        raise RuntimeError

    def with_traceback(self, value):
        raise RuntimeError


class Recursive(Exception):
    def __getattr__(self, name):
        return getattr(self.response, name)


class Notes(Exception):
    __notes__ = 5


class BaseOnly(BaseException):
    pass


ERRORS = [Frozen, FrozenWithSlots, NoAttribute, NoDescription, Recursive, Notes, BaseOnly]


def raising(error, kind):
    def plain(event, *transaction):
        raise error("A-1")

    async def waiting(event):
        raise error("A-1")

    return waiting if kind == "async" else plain


@pytest.mark.thinned
@pytest.mark.parametrize("kind", ["plain", "async", "transactional"])
@pytest.mark.parametrize("error", ERRORS)
def test_any_exception_is_one_failed_attempt_and_the_worker_goes_on(store, kind, error):
    store.record_many([("bad", 0), ("good", 0)])
    run(store, raising(error, kind), pattern="bad", retry=ONCE, transaction=kind == "transactional")
    run(store, lambda event: None, pattern="good")
    assert query(store, "SELECT sync_status FROM event_state ORDER BY event_id") == [("DEAD",), ("SYNCED",)]
    ((error_type,),) = query(store, "SELECT error_type FROM attempt_log WHERE event_id = 1")
    assert error_type.endswith(error.__name__)


async def coroutine():
    """Never awaited."""


class Awaitable:
    def __await__(self):
        yield


def generator():
    yield


async def async_generator():
    yield


UNFINISHED = {
    "coroutine": coroutine,
    "generator": generator,
    "async generator": async_generator,
    "generator expression": lambda: (n for n in ()),
    "awaitable": Awaitable,
    "future": Future,
    "context manager": contextlib.contextmanager(generator),
    "async context manager": contextlib.asynccontextmanager(async_generator),
    "map": lambda: map(print, ()),
}


@pytest.mark.thinned
@pytest.mark.parametrize("kind", ["plain", "async", "transactional"])
@pytest.mark.parametrize("returned", UNFINISHED)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_handler_that_returns_what_has_not_run_has_failed(store, kind, returned):
    make = UNFINISHED[returned]

    async def waiting(event):
        return make()

    store.record("a", 1)
    run(store, waiting if kind == "async" else lambda *_: make(), retry=ONCE, transaction=kind == "transactional")
    ((error_type, message),) = query(store, "SELECT error_type, error_message FROM attempt_log")
    assert error_type == "failaware.HandlerError"
    assert "returned" in message


@pytest.mark.parametrize(
    "result", [1, "", [], {}, object(), iter([1]), threading.Lock(), type], ids=lambda value: type(value).__name__
)
def test_any_other_result_is_a_success(store, result):
    store.record("a", 1)
    run(store, lambda event: result)
    assert query(store, "SELECT sync_status FROM event_state") == [("SYNCED",)]


class Yields:
    def __call__(self, event):
        yield

    def method(self, event):
        yield

    async def async_method(self, event):
        yield


GENERATORS = {
    "function": generator,
    "async function": async_generator,
    "object": Yields(),
    "method": Yields().method,
    "async method": Yields().async_method,
    "partial": functools.partial(generator),
    "partial of an object": functools.partial(Yields()),
    "lambda": lambda event: (yield),
}


@pytest.mark.parametrize("transaction", [False, True])
@pytest.mark.parametrize("what", GENERATORS)
def test_a_generator_function_is_refused_as_a_handler(what, transaction):
    with pytest.raises(HandlerError, match="yield"):
        Handlers().on("a", transaction=transaction)(GENERATORS[what])


def test_what_cannot_be_called_is_refused_as_a_handler():
    with pytest.raises(HandlerError, match="cannot be called"):
        Handlers().on("a")(5)
    with pytest.raises(HandlerError, match="not a pattern"):
        Handlers().on(print)


class AsyncCall:
    async def __call__(self, event):
        SEEN.append(event.event_id)


SEEN = []


@pytest.mark.parametrize("make", [AsyncCall, lambda: functools.partial(AsyncCall()), lambda: AsyncCall().__call__])
def test_async_handlers_of_every_kind_are_awaited(store, make):
    SEEN.clear()
    store.record("a", 1)
    run(store, make())
    assert SEEN == [1]


async def exits():
    raise SystemExit(3)


async def in_a_task_of_its_own(event):
    await asyncio.create_task(exits())


async def stops_the_loop(event):
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    raise ValueError("the loop went on")


async def cancels_every_task(event):
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize("handler", [in_a_task_of_its_own, stops_the_loop, cancels_every_task])
def test_nothing_that_an_async_handler_does_to_its_loop_stops_the_worker(store, handler):
    handlers_run = []

    async def handle(event):
        handlers_run.append(event.event_id)
        if event.payload == "bad":
            await handler(event)

    store.record_many([("a", "bad"), ("a", "good"), ("a", "good")])
    run(store, handle, retry=ONCE)
    assert handlers_run == [1, 2, 3]
    assert query(store, "SELECT sync_status FROM event_state ORDER BY event_id") == [
        ("DEAD",),
        ("SYNCED",),
        ("SYNCED",),
    ]


ENDING = [
    *("COMMIT", "commit", "END", "ROLLBACK", "BEGIN", "SAVEPOINT a", "RELEASE part", "ROLLBACK TO part", "ABORT"),
    *(" ;COMMIT", "-- done\nCOMMIT", "/* done */ COMMIT", "/**/;\n--\n;/* ; */COMMIT;", "\ufeffCOMMIT", "COMMIT/**/"),
    *("SELECT 1; COMMIT", "SELECT ';'; COMMIT", "SELECT '''; SELECT'; ROLLBACK", 'SELECT 1 AS "a;b"; END'),
    *(
        "SELECT $$;$$; COMMIT",
        "SELECT E'\\''; COMMIT",
        "START TRANSACTION",
        "PREPARE TRANSACTION 'a'",
        "PREPARE/**/TRANSACTION 'a'",
    ),
    *("ATTACH ':memory:' AS x", "DETACH x", "VACUUM", "PRAGMA query_only = 1", "PRAGMA/**/query_only(1)"),
    *("PRAGMA main.user_version = 3", "SET search_path = x", "SET LOCAL search_path = x", "RESET ALL", "DISCARD ALL"),
]


@pytest.mark.thinned
@pytest.mark.parametrize("method", ["execute", "query"])
@pytest.mark.parametrize("sql", ENDING)
def test_a_handler_cannot_end_the_stores_transaction(store, method, sql):
    store.session.write(lambda db: db.execute("CREATE TABLE ledger (n INTEGER)"))
    refused = []

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (1)")
        try:
            getattr(transaction, method)(sql)
        except UsageError as error:
            refused.append(str(error))
            raise

    store.record("a", 1)
    run(store, handle, transaction=True, retry=ONCE)
    assert "is not for a handler to say" in refused[0]
    assert query(store, "SELECT count(*) FROM ledger") == [(0,)]
    assert query(store, "SELECT sync_status FROM event_state") == [("DEAD",)]


def test_statements_that_only_look_so_are_run(store):
    def handle(event, transaction):
        transaction.execute("CREATE TABLE ledger (begin_at INTEGER, note TEXT)")
        transaction.execute("INSERT INTO ledger VALUES (?, 'COMMIT; ROLLBACK')", (1,))
        transaction.execute("/* COMMIT */ UPDATE ledger SET note = note || '; END' -- ; COMMIT\n")
        transaction.execute("WITH a AS (SELECT 1) SELECT * FROM a;")

    store.record("a", 1)
    run(store, handle, transaction=True, retry=ONCE)
    assert query(store, "SELECT note FROM ledger") == [("COMMIT; ROLLBACK; END",)]


@pytest.mark.sqlite
def test_reading_pragmas_and_triggers_are_run(store):
    def handle(event, transaction):
        transaction.execute("CREATE TABLE ledger (n INTEGER)")
        transaction.execute("CREATE TRIGGER t AFTER INSERT ON ledger BEGIN DELETE FROM ledger; END")
        assert transaction.query("PRAGMA table_info(ledger)")[0][1] == "n"

    store.record("a", 1)
    run(store, handle, transaction=True, retry=ONCE)
    assert query(store, "SELECT sync_status FROM event_state") == [("SYNCED",)]


@pytest.mark.parametrize("statements", [("ROLLBACK",), ("COMMIT",), ("COMMIT", "BEGIN"), ("ROLLBACK", "BEGIN")])
@pytest.mark.parametrize("then", ["returns", "raises"])
def test_a_transaction_that_a_handler_ended_all_the_same_is_a_failed_attempt(store, statements, then):
    def handle(event, transaction):
        for statement in statements:
            transaction._db.query("SELECT 1")
            transaction._db.run_untranslated(statement)  # past what refuses it
        if then == "raises":
            raise ValueError("of its own")

    store.record_many([("a", 1), ("b", 1)])
    run(store, handle, pattern="a", transaction=True, retry=ONCE)
    run(store, lambda event: None, pattern="b")
    assert query(store, "SELECT sync_status FROM event_state ORDER BY event_id") == [("DEAD",), ("SYNCED",)]
    ((error_type,),) = query(store, "SELECT error_type FROM attempt_log WHERE event_id = 1")
    assert error_type.rpartition(".")[2] == ("ValueError" if then == "raises" else "TransactionEnded")


@pytest.mark.sqlite
def test_a_conflict_that_rolls_all_back_is_a_failed_attempt(store):
    store.session.write(lambda db: db.execute("CREATE TABLE ledger (n INTEGER PRIMARY KEY)"))

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (1)")
        transaction.execute("INSERT OR ROLLBACK INTO ledger VALUES (1)")

    store.record_many([("a", 1), ("a", 2)])
    run(store, handle, transaction=True, retry=ONCE)
    assert query(store, "SELECT error_type FROM attempt_log") == [("sqlite3.IntegrityError",)] * 2
    assert query(store, "SELECT count(*) FROM ledger") == [(0,)]
