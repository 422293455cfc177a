"""Decides what counts as a root cause, and reads root causes from the text of Python, Java and Node.js tracebacks."""

import re
from itertools import dropwhile, takewhile

from failaware.capture.guarded import short_name, type_name

TRACEBACK = "Traceback (most recent call last):"
_FROM = "The above exception was the direct cause of the following exception:"
_MAX_CHAIN = 20
_RAISED = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?")
_CAUSED_BY = re.compile(
    r"^\s*(?:[Cc]aused by:|\[cause\]:|--->) (?P<cause>[\w.$]+(?: \[\w+\])?(?:: .*?)?)(?: \{)?$", re.MULTILINE
)
"""How Java, Node.js and .NET write a cause."""

_LOGURU_FRAME = "> File "  # how loguru marks the frame that logged
_REMOTE = {"RemoteTraceback", "_RemoteTraceback"}  # multiprocessing, concurrent.futures, billiard, loky
_QUOTE, _REMOTE_TEXT = '"""', 'RemoteTraceback: \n"""\n'
_CANCELLED = {
    "asyncio.exceptions.CancelledError",
    "concurrent.futures._base.CancelledError",
    "trio.Cancelled",
    "trio._core._exceptions.Cancelled",
}


def is_mechanism(kind: type) -> bool:
    """Whether a type of exception only transports another one and is no cause: a cancellation, a remote traceback."""
    return is_remote_traceback(kind) or is_cancellation(kind)


def is_mechanism_named(name: str) -> bool:
    """As `is_mechanism`, for a class of which only the qualified name is known."""
    return name in _CANCELLED or name.rpartition(".")[2] in _REMOTE


def is_remote_traceback(kind: type) -> bool:
    """Whether a type of exception only carries the traceback of another process, as process pools set it."""
    return short_name(kind) in _REMOTE


def is_cancellation(kind: type) -> bool:
    """Whether a type of exception says that a task or a future was cancelled."""
    return any(type_name(base) in _CANCELLED for base in type.__dict__["__mro__"].__get__(kind))


def root_cause(text: str) -> str | None:
    """Return the root cause of an explicit chain, as "type: message"; None if the text has none."""
    caused_by = _CAUSED_BY.findall(text)
    if caused_by:
        return str(caused_by[-1]).strip()
    return last_cause(text)


def last_cause(text: str) -> str | None:
    """Return the root cause of the last Python traceback in a text, if it has one (`raise … from …`)."""
    return cause_before(text, text.rfind(TRACEBACK))


def cause_before(text: str, start: int) -> str | None:
    """Return the root cause of the Python traceback that begins at `start`, if it has one (`raise … from …`)."""
    cause, before = None, text[: max(start, 0)].rstrip()
    for _ in range(_MAX_CHAIN):
        if not before.endswith(_FROM):
            break
        before = before.removesuffix(_FROM).rstrip()
        if before.endswith(_QUOTE) and _REMOTE_TEXT in before:
            remote = before.partition(_REMOTE_TEXT)[2]
            return last_cause(remote) or _joined(cause)
        start = max(before.rfind(TRACEBACK), 0)
        earlier = raised(before[start:], is_alone=True)
        if earlier is not None and is_mechanism_named(earlier[0]):
            break
        cause = earlier or cause
        before = before[:start].rstrip()
    return _joined(cause)


def _joined(cause: tuple[str, str] | None) -> str | None:
    return None if cause is None else ": ".join(part for part in cause if part)


def raised(traceback: str, *, is_alone: bool = False) -> tuple[str, str] | None:
    """Return type and message of one traceback: the text after its frames, up to an empty line unless `is_alone`."""
    lines = traceback.strip().splitlines()[1:]
    after_frames = list(dropwhile(lambda line: line[:1] in ("", " ") or line.startswith(_LOGURU_FRAME), lines))
    match = _RAISED.fullmatch(after_frames[0]) if after_frames else None
    if match is None:
        return None
    more = after_frames[1:] if is_alone else takewhile(str.strip, after_frames[1:])
    return match["type"], "\n".join([match["message"] or "", *more]).strip()
