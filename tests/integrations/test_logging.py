"""What a program logs is kept, with its exception and its extra; logging itself never fails or waits because of it."""

import json
import logging
import os
import sys
import time

import pytest
import structlog

from failaware import Store
from failaware.errors import StoreError
from failaware.integrations.logging import FailureHandler
from tests import processes
from tests.conftest import query


def attempts(store):
    return query(store, "SELECT error_type, error_message, fingerprint FROM attempt_log ORDER BY attempt_id")


def test_what_waits_is_bounded_by_its_size_too(store, monkeypatch):
    def full(*_):
        raise StoreError("disk full")

    monkeypatch.setattr("failaware.integrations.background._MAX_WAITING", 100_000)
    handler = FailureHandler(store)
    with monkeypatch.context() as patched:
        patched.setattr(store.session, "ingest", full)
        for _ in range(100):
            handler.handle(logging.makeLogRecord({"name": "shop", "msg": "m", "levelno": 40, "large": "x" * 10_000}))
        assert 80 <= handler.dropped <= 95
    handler.flush()
    assert query(store, "SELECT count(*) FROM event_log") == [(100 - handler.dropped,)]
    handler.handle(logging.makeLogRecord({"name": "shop", "msg": "m", "levelno": 40}))
    handler.close()
    assert query(store, "SELECT count(*) FROM event_log") == [(101 - handler.dropped,)]


@pytest.mark.tour
def test_errors_and_exceptions_are_kept_with_where_and_extra(store, handler, logger):
    logger.warning("not this one")
    logger.error("no stock of %s", "A-1", extra={"order": 17, "api_token": "abcdef123456", "who": object})
    try:
        {}["amount"]
    except KeyError:
        logger.exception("could not charge")
    handler.flush()
    assert attempts(store) == [("ERROR", "no stock of A-1", "no stock of %s"), ("KeyError", "'amount'", None)]
    ((event_type, payload), _) = query(store, "SELECT event_type, event_payload FROM event_log ORDER BY event_id")
    payload = json.loads(payload)
    assert event_type == "shop.billing"
    assert payload["message"] == "no stock of A-1"
    assert "test_logging.py" in payload["where"]
    assert payload["extra"] == {"order": 17, "api_token": "[masked]", "who": "<class 'object'>"}
    assert "could not charge" in query(store, "SELECT event_payload FROM event_log WHERE event_id = 2")[0][0]
    assert "amount" in query(store, "SELECT text FROM traceback_log")[0][0]


def test_what_is_logged_with_the_same_format_is_one_cluster(store, handler, logger):
    for name in ("Ada", "Bob"):
        logger.error("no account of %s", name)
    handler.flush()
    assert query(store, "SELECT template, events FROM failure_cluster") == [("no account of %s", 2)]


def test_whatever_is_logged_is_kept_and_the_next_one_too(store, handler):
    for text, *values in (
        ("half a pair: \ud800 and \x00",),
        ("much: %s", "x" * 2_000_000),
        ("%d", "not a number"),
        ("next",),
    ):
        handler.handle(logging.LogRecord("shop", logging.ERROR, __file__, 1, text, tuple(values), None))
    handler.flush()
    kept = [message for _, message, _ in attempts(store)]
    assert kept[0] == "half a pair: \\ud800 and \\x00"
    assert kept[1].startswith("much: xxx")
    assert kept[2:] == ["%d % ('not a number',)", "next"]
    assert handler.dropped == 0


def test_structlogs_dicts_are_understood(store, handler, logger):
    logger.error({"event": "charge failed", "order": 17})
    handler.flush()
    assert attempts(store) == [("ERROR", "charge failed", None)]
    assert json.loads(query(store, "SELECT event_payload FROM event_log")[0][0])["extra"] == {"order": 17}


def test_an_extra_that_is_too_large_is_left_out_and_the_record_is_kept(store, handler):
    logger = logging.getLogger("odd\nname")
    logger.addHandler(handler)
    logger.error("too much", extra={"much": "x" * 2_000_000})
    handler.flush()
    assert attempts(store) == [("ERROR", "too much", None)]
    ((event_type, payload),) = query(store, "SELECT event_type, event_payload FROM event_log")
    assert event_type == "odd\\x0aname"
    assert json.loads(payload)["left_out"] == ["extra"]


@pytest.fixture
def structured():
    """Configures structlog's stdlib path, with what hands an event over last."""

    def configure(*last):
        before = [structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level]
        structlog.configure([*before, *last], logger_factory=structlog.stdlib.LoggerFactory())
        return structlog.get_logger("shop.billing")

    yield configure
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "last",
    [structlog.stdlib.ProcessorFormatter.wrap_for_formatter, structlog.stdlib.render_to_log_kwargs],
    ids=["wrapped", "kwargs"],
)
def test_what_structlog_logs_is_kept_with_its_fields_and_exceptions(store, handler, logger, structured, last):
    log = structured(last)
    with structlog.contextvars.bound_contextvars(request="r-1"):
        log.bind(order=17).error("charge failed", card_token="abcdef123456")
    try:
        {}["amount"]
    except KeyError:
        log.exception("could not charge", order=18)
    log.info("not this one")
    handler.flush()
    assert attempts(store)[0][:2] == ("ERROR", "charge failed")
    assert attempts(store)[1][:2] == ("KeyError", "'amount'")
    first, second = (json.loads(row[0]) for row in query(store, "SELECT event_payload FROM event_log"))
    assert (first["message"], second["message"]) == ("charge failed", "could not charge")
    assert first["extra"].items() >= {"order": 17, "request": "r-1", "card_token": "[masked]"}.items()
    assert second["extra"]["order"] == 18
    assert ", in test_what_structlog_logs" in query(store, "SELECT text FROM traceback_log")[0][0]


def test_what_structlog_renders_as_json_is_taken_apart(store, handler, logger, structured):
    log = structured(structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    log.error("charge failed", order=17)
    log.error("disk full", host="db-1")
    try:
        {}["amount"]
    except KeyError:
        log.exception("could not charge", order=18)
    handler.flush()
    assert attempts(store) == [
        ("ERROR", "charge failed", None),
        ("ERROR", "disk full", None),
        ("KeyError", "'amount'", None),
    ]
    payloads = [json.loads(row[0]) for row in query(store, "SELECT event_payload FROM event_log")]
    assert [payload["message"] for payload in payloads] == ["charge failed", "disk full", "could not charge"]
    assert payloads[0]["extra"] == {"level": "error", "order": 17}
    assert payloads[2]["extra"] == {"level": "error", "order": 18}
    assert query(store, "SELECT count(*) FROM failure_cluster") == [(3,)]


def test_what_structlog_colors_is_kept_without_the_colors(store, handler, logger, structured):
    for word in ("charge failed", "disk full", "charge failed"):
        structured(structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)).error(
            word
        )
    handler.flush()
    assert not any("\x1b" in message or "[3" in message for _, message, _ in attempts(store))
    assert query(store, "SELECT count(*) FROM failure_cluster") == [(2,)]


@pytest.mark.tour
def test_a_log_call_never_raises_and_never_waits(store, monkeypatch, capsys):
    def full(*_):
        raise StoreError("disk full")

    monkeypatch.setattr(store.session, "ingest", full)
    handler, logger = FailureHandler(store, capacity=3), logging.getLogger("shop.full")
    logger.addHandler(handler)
    logger.propagate = False
    began = time.monotonic()
    for number in range(1_000):
        logger.error("full %s", number)
    assert time.monotonic() - began < 5
    assert handler.dropped > 500
    monkeypatch.undo()
    handler.flush()
    assert len(attempts(store)) + handler.dropped == 1_000
    handler.close()
    logger.removeHandler(handler)
    assert "log records could not be kept" in capsys.readouterr().err


PROGRAM = """
import logging, os, sys
from failaware import Store
from failaware.integrations.logging import FailureHandler
logging.getLogger().addHandler(FailureHandler(Store.open(sys.argv[1])))
logging.error("in the parent")
if os.fork() == 0:
    logging.error("in the child")
    logging.shutdown()
    os._exit(0)
os.wait()
logging.error("at the end")
"""


@pytest.mark.tour
def test_what_is_logged_last_is_written_when_the_program_ends_and_a_fork_logs_too(path):
    done = processes.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    with Store.open(path) as store:
        assert {message for _, message, _ in attempts(store)} == {"in the parent", "in the child", "at the end"}


def test_one_that_no_store_takes_is_counted_and_keeps_nobody_else_out(store, handler, monkeypatch):
    ingest = store.session.ingest

    def refuses(observed, rejects):
        if any("number 3" in event.event.event_payload for event in observed):
            raise OverflowError("more than the store takes")
        return ingest(observed, rejects)

    monkeypatch.setattr(store.session, "ingest", refuses)
    for number in range(10):
        handler.handle(logging.LogRecord("shop", logging.ERROR, __file__, 1, f"number {number}", (), None))
    handler.flush()
    assert sorted(message for _, message, _ in attempts(store)) == [f"number {n}" for n in range(10) if n != 3]
    assert handler.dropped == 1


def test_a_store_whose_policy_makes_no_sense_keeps_the_queue_from_nothing(store, handler):
    store.session.write(lambda db: db.execute("INSERT INTO setting VALUES ('policy', 'no such policy')"))
    handler.handle(logging.LogRecord("shop", logging.ERROR, __file__, 1, "before", (), None))
    handler.flush()
    store.session.write(lambda db: db.execute("DELETE FROM setting WHERE name = 'policy'"))
    handler.handle(logging.LogRecord("shop", logging.ERROR, __file__, 1, "after", (), None))
    handler.flush()
    assert [message for _, message, _ in attempts(store)] == ["after"]
    assert handler.dropped == 1
