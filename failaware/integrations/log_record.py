"""Reads a log record: its message, the fields logged with it, and the exception or the text of a traceback."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from failaware.capture.guarded import guarded, is_a, plain, short_name
from failaware.capture.raised_text import RaisedText, read_python_traceback
from failaware.capture.root_cause import TRACEBACK
from failaware.text import without_escapes

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_STANDARD |= {"_logger", "_name", "_from_structlog", "_record"}  # structlog adds these for its own formatter
_MESSAGES = ("event", "message", "msg")  # where structlog, loguru and JSON formatters put the message
_TRACEBACKS = ("exception", "exc_info", "traceback", "stack_trace", "stack")  # and the text of a traceback
_MAX_JSON = 262_144  # characters; a longer message is not parsed as JSON
_TRACEBACK_LINE = re.compile(rf"^(?:  \+ Exception Group )?{re.escape(TRACEBACK)}$", re.MULTILINE)
_STACK_LINE = re.compile(r"^Stack \(most recent call last\):$", re.MULTILINE)


class LogEntry(NamedTuple):
    """The content of a log record.

    `template` is the format string of the message, if it has one; `fields` are the values logged with it. `error` is
    the exception; `raised` is one of which only the text is known. `stack` is the stack of the call (`stack_info`).
    """

    message: str
    template: str | None
    fields: dict[str, Any]
    error: BaseException | None
    raised: RaisedText | None
    stack: str | None


def read_record(record: logging.LogRecord) -> LogEntry:
    """Read a record of `logging`, structlog, loguru or a QueueHandler."""
    message, template = _message(record)
    msg: Any = record.msg
    members = msg if is_a(msg, dict) else _json_object(message)
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if is_a(fields.get("extra"), dict):  # loguru's, of `bind`
        fields |= fields.pop("extra")
    texts = [record.exc_text or ""]
    if members:
        key = next((name for name in _MESSAGES if isinstance(members.get(name), str)), None)
        message, template = (message, template) if key is None else (members[key], None)
        texts += [members[name] for name in _TRACEBACKS if isinstance(members.get(name), str)]
        fields |= {name: value for name, value in members.items() if name not in {key, "exc_info"}}
    message, stack = _split(without_escapes(message), _STACK_LINE)
    message, text = _split(message, _TRACEBACK_LINE)
    error = _exception(record)
    if error is not None:
        return LogEntry(message, template, fields, error, None, record.stack_info or stack or None)
    exception = next(filter(None, map(read_python_traceback, [*texts, text])), None)
    if exception is None:
        message = "\n".join(filter(None, (message, text)))
    else:
        fields = {name: value for name, value in fields.items() if value not in texts}
    return LogEntry(message, template, fields, None, exception, record.stack_info or stack or None)


def _message(record: logging.LogRecord) -> tuple[str, str | None]:
    """Return the message, and its format string if it has one."""
    template = plain(record.msg) if record.args and is_a(record.msg, str) else None
    message = guarded(lambda: plain(record.getMessage()), None)
    if message is not None:
        return message, template
    text = _repr(record.msg) if template is None else template  # the arguments do not fit, or fail
    return f"{text} % {_repr_arguments(record.args)}" if record.args else text, template


def _repr_arguments(arguments: object) -> str:
    """As repr, but the repr of an argument may fail."""
    if type(arguments) is not tuple:
        return _repr(arguments)
    return f"({', '.join(map(_repr, arguments))}{',' if len(arguments) == 1 else ''})"


def _repr(value: object) -> str:
    return guarded(lambda: plain(repr(value)), f"<unprintable {short_name(type(value))}>")


def _json_object(message: str) -> Mapping[str, Any] | None:
    """Return the message as an object if it is JSON: structlog's JSONRenderer, JSON formatters before a queue."""
    if message[:1] != "{" or message[-1:] != "}" or len(message) > _MAX_JSON:
        return None
    with suppress(ValueError, RecursionError):
        members = json.loads(message)
        return members if isinstance(members, dict) else None
    return None


def _split(text: str, line: re.Pattern[str]) -> tuple[str, str]:
    """Return the text before the first line that matches, and the rest."""
    match = line.search(text)
    return (text, "") if match is None else (text[: match.start()].rstrip(), text[match.start() :])


def _exception(record: logging.LogRecord) -> BaseException | None:
    """Return the logged exception; in structlog's dict, `exc_info` is an exception, a tuple or True."""
    exc_info: Any = record.exc_info
    message: Any = record.msg
    if is_a(message, dict) and not exc_info:
        exc_info = message.get("exc_info")
    if not exc_info:
        return None
    candidates = exc_info if is_a(exc_info, tuple) else (exc_info, *sys.exc_info())
    return next((value for value in candidates if is_a(value, BaseException)), None)
