"""Every log record is kept; an exception that was formatted on the way is an exception again."""

import json
import logging
import logging.handlers
import queue
import sys
import traceback

import pytest

from tests.conftest import assert_rebuild_changes_nothing, query


def attempts(store):
    rows = query(store, "SELECT error_type, error_message, cause FROM attempt_log ORDER BY attempt_id")
    return [tuple(row) for row in rows]


def payloads(store):
    return [json.loads(row[0]) for row in query(store, "SELECT event_payload FROM event_log ORDER BY event_id")]


def charge(order):
    try:
        raise OSError("connection reset")
    except OSError as error:
        raise ConnectionError(f"no answer for order {order}") from error


def through_a_queue(handler, logger, log):
    waiting = queue.Queue()
    logger.handlers[:] = [logging.handlers.QueueHandler(waiting)]
    log()
    logger.handlers[:] = [handler]
    listener = logging.handlers.QueueListener(waiting, handler)
    listener.start()
    listener.stop()


def over_a_socket(handler, logger, log):
    sender = logging.handlers.SocketHandler("localhost", 1)
    sender.emit = lambda record: handler.handle(received(sender.makePickle(record)))
    logger.handlers[:] = [sender]
    log()
    logger.handlers[:] = [handler]


def received(pickled):
    import pickle

    return logging.makeLogRecord(pickle.loads(pickled[4:]))


def directly(handler, logger, log):
    log()


@pytest.mark.parametrize("way", [directly, through_a_queue, over_a_socket])
def test_an_exception_that_is_only_text_any_more_is_an_exception(store, handler, logger, way):
    def log():
        for order in (17, 18):
            try:
                charge(order)
            except ConnectionError:
                logger.exception("charging order %s", order)
                logger.error("charging order %s\n%s", order, traceback.format_exc())
                logger.exception("charging order %s", order, stack_info=True)

    way(handler, logger, log)
    handler.flush()
    assert attempts(store) == [
        ("ConnectionError", f"no answer for order {order}", "OSError: connection reset")
        for order in (17, 17, 17, 18, 18, 18)
    ]
    assert [payload["message"] for payload in payloads(store)][:3] == ["charging order 17"] * 3
    assert "test_log_records" in payloads(store)[2]["stack"]
    assert query(store, "SELECT count(*) FROM failure_cluster") == [(1,)]
    texts = [row[0] for row in query(store, "SELECT text FROM traceback_log")]
    assert all(", in charge\n" in text and "order 17" not in text for text in texts)
    assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize("way", [directly, through_a_queue, over_a_socket])
def test_a_group_of_exceptions_is_told_by_its_members(store, handler, logger, way):
    inner = ExceptionGroup("inner", [KeyError("b"), OSError("disk full")])

    def log():
        try:
            raise ExceptionGroup("2 of 3", [ValueError("no a"), inner])
        except ExceptionGroup:
            logger.exception("importing")

    way(handler, logger, log)
    handler.flush()
    cause = "ValueError: no a\n+ KeyError: 'b'\n+ OSError: disk full"
    assert attempts(store) == [("ExceptionGroup", "2 of 3 (2 sub-exceptions)", cause)]
    assert payloads(store)[0]["message"] == "importing"


def test_where_it_was_logged_is_kept_if_the_program_asks(store, handler, logger):
    logger.error("no stock", stack_info=True)
    handler.flush()
    ((text,),) = query(store, "SELECT text FROM traceback_log")
    assert text.startswith("Stack (most recent call last):\n")
    assert ", in test_where_it_was_logged" in text
    assert attempts(store) == [("ERROR", "no stock", None)]


@pytest.mark.parametrize(
    "message", ["Traceback (most recent call last):", "x\nTraceback (most recent call last):\n  odd\n"]
)
def test_a_text_that_is_no_whole_traceback_is_a_message(store, handler, logger, message):
    logger.error(message)
    handler.flush()
    assert attempts(store) == [("ERROR", message.rstrip(), None)] or attempts(store) == [("ERROR", message, None)]


class Failing:
    """Fails in every way in which it is asked."""

    def __str__(self):
        raise LookupError("instance is not bound to a session")

    __repr__ = __str__


class FailingError(Exception):
    def __getattr__(self, name):
        return getattr(self.response, name)

    __str__ = Failing.__str__


def circular():
    value = {}
    value["self"] = value
    return value


def deep():
    value = []
    for _ in range(5_000):
        value = [value]
    return value


def raising(error):
    try:
        raise error
    except Exception:
        return sys.exc_info()


CARRIED = {
    "circular extra": {"ctx": circular()},
    "deep extra": {"ctx": deep()},
    "an integer of 5,000 digits": {"n": 10**5000},
    "an extra that fails": {"n": Failing(), "more": {Failing(): Failing()}},
    "a set, bytes and floats": {"a": {1}, "b": b"\xff", "c": float("nan"), "d": {1: 2}},
    "an argument that fails": {"args": (Failing(),)},
    "arguments that do not fit": {"args": (1, 2)},
    "an argument that is a dict": {"args": {"a": 1}},
    "a message that fails": {"msg": Failing()},
    "a message that is a number": {"msg": 17},
    "a message that is an exception": {"msg": ValueError("x")},
    "no message": {"msg": None},
    "a dict without an event": {"msg": {"code": 17}},
    "a dict of other keys": {"msg": {1: 2, "event": None}},
    "a dict that is circular": {"msg": circular()},
    "JSON that is no object": {"msg": "{[}"},
    "JSON with a huge number": {"msg": '{"event": "x", "n": ' + "9" * 5_000 + "}"},
    "JSON that is deep": {"msg": '{"event": ' + "[" * 100_000 + "}"},
    "an exception that fails": {"exc_info": raising(FailingError("x"))},
    "an exception without a traceback": {"exc_info": (ValueError, ValueError("x"), None)},
    "no exception": {"exc_info": True},
    "None three times": {"exc_info": (None, None, None)},
    "two of three": {"exc_info": (ValueError, ValueError("x"))},
    "an exception's text": {"exc_info": (ValueError, "x", None)},
    "a text": {"exc_info": "yes"},
    "a time far away": {"created": 1e15},
    "no time": {"created": float("nan")},
    "an endless time": {"created": float("inf")},
    "a time that is a text": {"created": "now"},
    "a time before 1970": {"created": -1e9},
    "a level beyond CRITICAL": {"levelno": 70, "levelname": "Level 70"},
    "a level without a name": {"levelname": ""},
    "a level that is no text": {"levelname": None},
    "a name of 10,000 characters": {"name": "x" * 10_000},
    "no name": {"name": ""},
    "a name that is no text": {"name": None},
    "a place that is no text": {"pathname": Failing(), "lineno": None, "funcName": None},
    "a process that fails": {"process": Failing(), "thread": None, "threadName": Failing()},
    "exc_text that is no text": {"exc_text": 17},
    "an attribute that is called extra": {"extra": 17},
}


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("carried", CARRIED.values(), ids=CARRIED.keys())
def test_a_record_is_kept_whatever_it_carries(store, handler, carried):
    values = {"name": "shop", "levelno": 40, "levelname": "ERROR", "msg": "the message"} | carried
    handler.handle(logging.makeLogRecord(values))
    handler.flush()
    assert handler.dropped == 0
    ((kind, message, _),) = attempts(store)
    assert kind
    if not {"msg", "exc_info", "args"} & set(carried):
        assert message == "the message"
    assert_rebuild_changes_nothing(store)


def test_a_record_with_attributes_missing_is_kept(store, handler):
    record = logging.makeLogRecord({"name": "shop", "msg": "bare", "levelname": "ERROR", "levelno": 40})
    for name in ("args", "exc_info", "exc_text", "stack_info", "created", "process", "threadName"):
        delattr(record, name)
    handler.handle(record)
    del record.msg
    handler.handle(record)
    handler.flush()
    assert attempts(store) == [("ERROR", "bare", None), ("ERROR", "<unreadable NoneType>", None)]


class Interrupting:
    def __getattribute__(self, name):
        raise KeyboardInterrupt

    def __str__(self):
        raise SystemExit(3)


@pytest.mark.parametrize("name", ["msg", "args", "exc_info", "exc_text", "stack_info", "extra", "name", "created"])
def test_an_object_that_raises_what_ends_programs_does_not_end_this_one(store, handler, name):
    record = logging.makeLogRecord({"name": "shop", "msg": "m", "levelname": "ERROR", "levelno": 40})
    setattr(record, name, Interrupting())
    handler.handle(record)
    handler.flush()
    assert handler.dropped == 0
    assert query(store, "SELECT count(*) FROM attempt_log") == [(1,)]


def test_an_adapter_and_a_filter_have_their_say(store, handler, logger):
    handler.addFilter(lambda record: "secret order" not in record.getMessage())
    logging.LoggerAdapter(logger, {"request": "r-1"}).error("no stock")
    logger.error("secret order")
    handler.flush()
    assert attempts(store) == [("ERROR", "no stock", None)]
    assert payloads(store)[0]["extra"] == {"request": "r-1"}


def test_what_loguru_binds_is_the_extra(store, handler):
    bound = {"extra": {"order": 17}, "exc_info": raising(ValueError("x")), "exc_text": "\n"}
    handler.handle(
        logging.makeLogRecord(
            {"name": "shop", "levelname": "ERROR", "msg": "no stock\nTraceback (most recent call last):\n\n> File"}
            | bound
        )
    )
    handler.flush()
    assert attempts(store) == [("ValueError", "x", None)]
    assert (payloads(store)[0]["message"], payloads(store)[0]["extra"]) == ("no stock", {"order": 17})


@pytest.mark.tour
@pytest.mark.parametrize("broken", ["read-only", "deleted"])
@pytest.mark.sqlite
def test_a_store_that_cannot_be_written_any_more_is_reported_and_hurts_nobody(
    path, handler, logger, broken, monkeypatch, capsys
):
    monkeypatch.setattr("failaware.integrations.logging._CLOSE_TIMEOUT_S", 0.1)
    handler._background._close_timeout_s = 0.1
    logger.error("before")
    handler._background.flush(5)
    if broken == "deleted":
        for file in path.parent.glob("store.db*"):
            file.unlink()
    else:
        monkeypatch.setattr(handler._store.session._db, "run", read_only)
    logger.error("after")
    handler.close()
    assert "failaware: 1 log records could not be kept: " in capsys.readouterr().err


def read_only(*_):
    from failaware.errors import StoreError

    raise StoreError("the file may only be read")
