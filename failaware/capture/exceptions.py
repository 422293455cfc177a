"""Turns an exception into a failure: type, message and traceback, masked, bounded and valid UTF-8.

Each part is guarded separately: an exception may raise in `__str__`, in any attribute, in its notes, causes or members,
and then only that part is missing. The traceback is formatted by walking the frames, with source lines cached by code
object and line: about thirty times cheaper than the traceback module, with the same output except the `^^^^` marks.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import Any, Protocol

from failaware.capture.guarded import (
    guarded,
    is_a,
    plain,
    raised_by_signal,
    short_name,
    text_of,
    traceback_of,
    type_name,
)
from failaware.capture.root_cause import is_cancellation, is_mechanism, is_remote_traceback, last_cause
from failaware.model import ERROR_HERE, MEMBER, Failure
from failaware.text import bounded, storable

MAX_MESSAGE = 8_192
"""Longest error message, in characters; of a longer one, the start and the end are kept."""

MAX_TRACEBACK = 65_536
"""Longest traceback, in characters; of a longer one, the start and the end are kept."""

MAX_NAME = 512
"""Longest error type and fingerprint, in characters; of a longer one, the start and the end are kept."""

_HEAD_FRAMES, _TAIL_FRAMES = 10, 30
_MAX_CHAIN = 20  # exceptions shown of one chain, and members of one group
_MAX_WALK = 10_000  # exceptions followed in one chain
_MAX_MEMBERS, _MAX_LEVELS = 200, 10  # members shown of all groups together, and levels of nested groups
_MAX_NOTES = 100
_CACHE_SIZE = 4_096
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"

# The interpreter's own slots: a class may define attributes with these names, which may raise.
_cause_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__cause__"].__get__
_context_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__context__"].__get__
_hides_context: Callable[[BaseException], bool] = BaseException.__dict__["__suppress_context__"].__get__
_members_of: Callable[[BaseException], tuple[BaseException, ...]] = BaseExceptionGroup.__dict__["exceptions"].__get__

_lines: dict[tuple[str, CodeType, int | None], str] = {}


class TextMasker(Protocol):
    """Masks secrets in texts."""

    def mask_text(self, text: str) -> tuple[str, int]:
        """Return the text with its secrets masked, and how many there were."""

    def __hash__(self) -> int:
        """Hash it: results are cached by masker. Maskers that mask the same may be equal."""


def describe(
    error: BaseException, *, masker: TextMasker | None = None, traceback: TracebackType | None = None
) -> Failure:
    """Return the failure that an exception describes; only its type if nothing else can be read.

    Args:
        error: any exception; its methods may raise, and its chain may be circular or endless.
        masker: masks secrets in the message and the traceback.
        traceback: where the traceback begins, if not at `error.__traceback__`.

    Raises:
        KeyboardInterrupt, SystemExit: only from a signal that arrives meanwhile.
    """
    try:
        return failure(
            type_name(type(error)),
            _message(error),
            guarded(lambda: "".join(_Text().chain(error, ERROR_HERE, traceback)), None),
            cause=guarded(lambda: _cause(error), None),
            fingerprint=guarded(lambda: _fingerprint(error), None),
            masker=masker,
        )
    except BaseException as undescribed:
        if raised_by_signal(undescribed):
            raise
        name = short_name(type(error))[:MAX_NAME]
        return Failure(storable(name), f"<not described: {short_name(type(undescribed))}>", None)


def failure(
    error_type: str,
    message: str,
    traceback: str | None,
    *,
    masker: TextMasker | None,
    cause: str | None = None,
    fingerprint: str | None = None,
) -> Failure:
    """Return a failure of any texts: masked, bounded and valid UTF-8."""
    return Failure(
        _cached(error_type, MAX_NAME, masker),
        masked_and_bounded(message, MAX_MESSAGE, masker),
        traceback and _cached(traceback, MAX_TRACEBACK, masker),
        cause and masked_and_bounded(cause, MAX_MESSAGE, masker),
        fingerprint and masked_and_bounded(fingerprint, MAX_NAME, masker),
    )


def masked_and_bounded(text: str, limit: int, masker: TextMasker | None) -> str:
    """Return a text as it can be stored: masked, at most `limit` characters, and valid UTF-8."""
    if masker is not None:
        text, _ = masker.mask_text(bounded(text, 4 * limit))  # masking is slow; the result is cut below
    return bounded(storable(text), limit)


_cached = lru_cache(maxsize=64)(masked_and_bounded)
"""Cached, since failures at one place share their type and traceback, and masking a traceback is slow."""


def was_cancelled(error: BaseException) -> bool:
    """Whether an exception only says that the task was cancelled, or is a group of nothing but such exceptions."""
    remaining, seen = [error], set[int]()
    while remaining:
        current = remaining.pop()
        members = _members(current)
        if not members and (is_a(current, Exception) or not is_cancellation(type(current))):
            return False
        if id(current) not in seen:
            seen.add(id(current))
            remaining += members
    return True


def _fingerprint(error: BaseException) -> str | None:
    """Return the fingerprint that the handler set on the exception, if any."""
    given = getattr(error, "failaware_fingerprint", None)
    return plain(given) if is_a(given, str) else None  # type: ignore[arg-type]


def _cause(error: BaseException) -> str | None:
    """Return the root causes of an explicit chain (`raise … from …`) or a group; None if it has neither."""
    if _cause_of(error) is None and not is_a(error, BaseExceptionGroup):
        return None  # as of most
    roots = _roots(error)
    causes = [_remote_cause(root) or (None if root is error else _type_and_message(root)) for root in roots]
    return MEMBER.join(dict.fromkeys(cause for cause in causes if cause)) or None


def _roots(error: BaseException) -> list[BaseException]:
    """Return the first exceptions of the chains of an exception and of its members; each group is visited once."""
    roots: list[BaseException] = []
    remaining, groups = [error], set[int]()
    while remaining and len(roots) < _MAX_CHAIN and len(groups) < _MAX_MEMBERS:
        root = _root(remaining.pop())
        members = _members(root)
        if not members:
            roots.append(root)
        elif id(root) not in groups:
            groups.add(id(root))
            remaining += reversed(members[:_MAX_CHAIN])
    return [root for root in roots if not is_mechanism(type(root))] or roots or [error]


def _root(error: BaseException) -> BaseException:
    seen = {id(error)}
    while (cause := _cause_of(error)) is not None and id(cause) not in seen and len(seen) < _MAX_WALK:
        if is_mechanism(type(cause)):
            break
        error = cause
        seen.add(id(error))
    return error


def _remote_cause(error: BaseException) -> str | None:
    """Return the root cause, in the other process, of an exception raised there; only its text is available."""
    remote = _cause_of(error)
    return last_cause(_message(remote)) if remote is not None and is_remote_traceback(type(remote)) else None


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return _members_of(error) if is_a(error, BaseExceptionGroup) else ()


def _type_and_message(error: BaseException) -> str:
    message, name = _message(error), type_name(type(error))
    return f"{name}: {message}" if message else name


def _message(error: BaseException) -> str:
    return bounded(text_of(error), 4 * MAX_MESSAGE)


class _Text:
    """Formats one traceback with its chains and groups. Each exception is shown once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._members = self._levels = 0

    def chain(
        self, error: BaseException, named: str | None = None, traceback: TracebackType | None = None
    ) -> Iterator[str]:
        """Yield a chain of exceptions, oldest first, joined by Python's sentences; `named` replaces the last one."""
        links = self._links(error)
        left_out = len(links) - _MAX_CHAIN
        for position, (link, joint) in enumerate(reversed(links)):
            if left_out > 0 and _MAX_CHAIN // 2 <= position < _MAX_CHAIN // 2 + left_out:
                if position == _MAX_CHAIN // 2:
                    yield f"... {left_out:,} exceptions left out ...\n\n"
                continue
            if link is error:
                yield from self._one(link, named, traceback or traceback_of(link))
            else:
                yield from self._one(link, None, traceback_of(link))
            yield joint

    def _links(self, error: BaseException) -> list[tuple[BaseException, str]]:
        """Return a chain, newest first, each exception with the sentence between it and the next newer one."""
        links: list[tuple[BaseException, str]] = []
        current: BaseException | None = error
        joint = ""
        while current is not None and id(current) not in self._seen and len(links) < _MAX_WALK:
            self._seen.add(id(current))
            links.append((current, joint))
            cause = _cause_of(current)
            joint = _CONTEXT if cause is None else _CAUSE
            current = _context_of(current) if cause is None and not _hides_context(current) else cause
        return links

    def _one(self, error: BaseException, named: str | None, traceback: TracebackType | None) -> Iterator[str]:
        if traceback is not None:
            yield "Traceback (most recent call last):\n"
            yield from _frames(traceback)
        yield (named or _type_and_message(error)) + "\n"
        for note in guarded(lambda: _notes(error), ["<notes that cannot be read>"]):
            yield f"{bounded(note, 4 * MAX_MESSAGE)}\n"
        yield from self._group(_members(error))

    def _group(self, members: tuple[BaseException, ...]) -> Iterator[str]:
        if members and self._levels == _MAX_LEVELS:
            yield "  +---------------- more groups within, left out\n"
            return
        self._levels += 1
        for number, member in enumerate(members[:_MAX_CHAIN], start=1):
            if id(member) in self._seen or self._members >= _MAX_MEMBERS:
                continue
            self._members += 1
            yield f"  +---------------- {number} ----------------\n"
            for line in "".join(self.chain(member)).splitlines():
                yield f"  | {line}\n"
        if len(members) > _MAX_CHAIN:
            yield f"  +---------------- {len(members) - _MAX_CHAIN:,} more exceptions left out\n"
        self._levels -= 1


def _notes(error: BaseException) -> list[str]:
    """Return the notes of an exception; `__notes__` may be anything, although `add_note` makes a list of strings."""
    notes: Any = getattr(error, "__notes__", None)
    if notes is None:
        return []
    if not is_a(notes, list, tuple):
        return [plain(notes) if is_a(notes, str) else plain(repr(notes))]
    return [text_of(note) for note in islice(notes, _MAX_NOTES)]


def _frames(traceback: TracebackType) -> Iterator[str]:
    head: list[TracebackType] = []
    tail: deque[TracebackType] = deque(maxlen=_TAIL_FRAMES)
    count = 0
    current: TracebackType | None = traceback
    while current is not None:
        (head if count < _HEAD_FRAMES else tail).append(current)
        count += 1
        current = current.tb_next
    yield from map(_frame_text, head)
    if count > _HEAD_FRAMES + _TAIL_FRAMES:
        yield f"  ... {count - _HEAD_FRAMES - _TAIL_FRAMES:,} frames left out ...\n"
    yield from map(_frame_text, tail)


def _frame_text(traceback: TracebackType) -> str:
    """Return the two lines of a frame. The key has the file's name: equal code objects may be of different files."""
    code, number = traceback.tb_frame.f_code, traceback.tb_lineno
    key = (code.co_filename, code, number)
    return _lines.get(key) or _cache_frame_text(key, traceback.tb_frame)


def _cache_frame_text(key: tuple[str, CodeType, int | None], frame: FrameType) -> str:
    """Format the two lines of a frame and cache them."""
    file, code, number = key
    source = "" if number is None else guarded(lambda: _source_line(file, number, frame), "")
    text = f'  File "{file}", line {number or "?"}, in {code.co_name}\n' + (f"    {source}\n" if source else "")
    if len(_lines) >= _CACHE_SIZE:
        _lines.clear()
    _lines[key] = text
    return text


def _source_line(file: str, number: int, frame: FrameType) -> str:
    import linecache

    linecache.checkcache(file)  # the file may have changed since it was cached
    return linecache.getline(file, number, frame.f_globals).strip()
