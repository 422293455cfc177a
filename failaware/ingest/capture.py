"""From an exception to a failure: its type, message and traceback, bounded, masked and fit to be stored.

The traceback is made by walking the frames, with the source lines cached by code object and line: some thirty times
cheaper than the traceback module, and it looks the same but for the `^^^^` marks.
"""

from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, TracebackType

from failaware.ingest.masking import Masker
from failaware.model import ERROR_HERE, MEMBER, Failure
from failaware.text import bounded, storable

MAX_MESSAGE = 8_192
"""Characters of an error message that are kept, its two ends."""

MAX_TRACEBACK = 65_536
"""Characters of a traceback that are kept, its two ends."""

MAX_NAME = 512
"""Characters of an error type or a fingerprint that are kept."""

_HEAD_FRAMES, _TAIL_FRAMES = 10, 30
_MAX_CHAIN = 20  # exceptions in one chain, and in one group
_CACHE_SIZE = 4_096
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"

_lines: dict[tuple[CodeType, int], str] = {}


def describe(error: BaseException, *, masker: Masker | None = None) -> Failure:
    """What is kept of an exception.

    Args:
        error: any exception, also one whose `__str__` fails or whose chain is circular.
        masker: takes the secrets out of the message and the traceback.
    """
    return failure(
        type_name(error),
        _message(error),
        "".join(_chain(error, set(), ERROR_HERE)),
        cause=_cause(error),
        fingerprint=_fingerprint(error),
        masker=masker,
    )


def failure(
    error_type: str,
    message: str,
    traceback: str | None,
    *,
    masker: Masker | None,
    cause: str | None = None,
    fingerprint: str | None = None,
) -> Failure:
    """A failure fit to be stored, of texts that may hold anything: masked, bounded, valid UTF-8."""
    return Failure(
        _kept_again(error_type, MAX_NAME, masker),
        _kept(message, MAX_MESSAGE, masker),
        traceback and _kept_again(traceback, MAX_TRACEBACK, masker),
        cause and _kept(cause, MAX_MESSAGE, masker),
        fingerprint and _kept(fingerprint, MAX_NAME, masker),
    )


def _kept(text: str, limit: int, masker: Masker | None) -> str:
    if masker is not None:
        text, _ = masker.mask_text(bounded(text, 4 * limit))  # what is cut here is cut again below
    return bounded(storable(text), limit)


_kept_again = lru_cache(maxsize=64)(_kept)
"""As `_kept`, for what failures at one place share: to look a traceback through takes longer than all else."""


def _fingerprint(error: BaseException) -> str | None:
    """What the handler says that this failure is like."""
    given = getattr(error, "failaware_fingerprint", None)
    return given if isinstance(given, str) else None


def _cause(error: BaseException) -> str | None:
    """What an explicit chain (`raise … from …`) or a group goes back to; None of an exception that stands alone."""
    roots = _roots(error, 0)
    if roots == [error]:
        return None
    return MEMBER.join(dict.fromkeys(_type_and_message(root) for root in roots[:_MAX_CHAIN]))


def _roots(error: BaseException, depth: int) -> list[BaseException]:
    seen = {id(error)}
    while error.__cause__ is not None and id(error.__cause__) not in seen and len(seen) < _MAX_CHAIN:
        error = error.__cause__
        seen.add(id(error))
    if isinstance(error, BaseExceptionGroup) and depth < _MAX_CHAIN:
        return [root for member in error.exceptions[:_MAX_CHAIN] for root in _roots(member, depth + 1)]
    return [error]


def type_name(error: BaseException) -> str:
    """The exception's qualified name; the built-in ones, and what a script defines itself, without their module."""
    kind = type(error)
    module = getattr(kind, "__module__", None)
    if module == "failaware.errors":
        module = "failaware"  # where a handler imports Permanent and RetryAfter from
    return kind.__qualname__ if module in ("builtins", "__main__", None) else f"{module}.{kind.__qualname__}"


def _type_and_message(error: BaseException) -> str:
    message = _message(error)
    return f"{type_name(error)}: {message}" if message else type_name(error)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the failure
        return f"<unprintable {type(error).__name__}>"


def _chain(error: BaseException, seen: set[int], named: str | None = None) -> Iterator[str]:
    """The exceptions that led here, oldest first, joined by Python's own sentences; the last one's line is `named`."""
    links: list[tuple[BaseException, str]] = []
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(links) < _MAX_CHAIN:
        seen.add(id(current))
        if current.__cause__ is not None:
            links.append((current, _CAUSE))
            current = current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            links.append((current, _CONTEXT))
            current = current.__context__
        else:
            links.append((current, ""))
            current = None
    for position, (link, _) in enumerate(reversed(links)):
        if position:
            yield links[len(links) - 1 - position][1]
        yield from _one(link, seen, named if link is error else None)


def _one(error: BaseException, seen: set[int], named: str | None) -> Iterator[str]:
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from _frames(error.__traceback__)
    yield (named or _type_and_message(error)) + "\n"
    for note in getattr(error, "__notes__", ()):
        yield f"{note}\n"
    if isinstance(error, BaseExceptionGroup):
        yield from _members(error, seen)


def _members(group: BaseExceptionGroup[BaseException], seen: set[int]) -> Iterator[str]:
    for number, member in enumerate(group.exceptions[:_MAX_CHAIN], start=1):
        if id(member) in seen or len(seen) > 10 * _MAX_CHAIN:
            continue
        yield f"  +---------------- {number} ----------------\n"
        for line in "".join(_chain(member, seen)).splitlines():
            yield f"  | {line}\n"
    if len(group.exceptions) > _MAX_CHAIN:
        yield f"  +---------------- {len(group.exceptions) - _MAX_CHAIN:,} more exceptions left out\n"


def _frames(traceback: TracebackType) -> Iterator[str]:
    frames = []
    current: TracebackType | None = traceback
    while current is not None:
        frames.append((current.tb_frame.f_code, current.tb_lineno))
        current = current.tb_next
    left_out = len(frames) - _HEAD_FRAMES - _TAIL_FRAMES
    for position, frame in enumerate(frames):
        if left_out > 0 and _HEAD_FRAMES <= position < _HEAD_FRAMES + left_out:
            if position == _HEAD_FRAMES:
                yield f"  ... {left_out:,} frames left out ...\n"
            continue
        yield _lines.get(frame) or _remember(frame)


def _remember(frame: tuple[CodeType, int]) -> str:
    """The two lines of a frame, kept for the next failure at the same place."""
    import linecache

    code, number = frame
    source = linecache.getline(code.co_filename, number).strip()
    text = f'  File "{code.co_filename}", line {number}, in {code.co_name}\n' + (f"    {source}\n" if source else "")
    if len(_lines) >= _CACHE_SIZE:
        _lines.clear()
    _lines[frame] = text
    return text
