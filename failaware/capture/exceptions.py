"""From an exception to a failure: its type, message and traceback, bounded, masked and fit to be stored.

Each part is guarded by itself: an exception may fail in `__str__`, in any attribute, in its notes, causes or members,
and loses that part alone. The traceback is made by walking the frames, with the source lines cached by code object and
line: some thirty times cheaper than the traceback module, and it looks the same but for the `^^^^` marks.
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
"""Characters of an error message that are kept, its two ends."""

MAX_TRACEBACK = 65_536
"""Characters of a traceback that are kept, its two ends."""

MAX_NAME = 512
"""Characters of an error type or a fingerprint that are kept."""

_HEAD_FRAMES, _TAIL_FRAMES = 10, 30
_MAX_CHAIN = 20  # exceptions of one chain, and members of one group, that are shown
_MAX_WALK = 10_000  # exceptions of one chain that are walked to its root
_MAX_MEMBERS, _MAX_LEVELS = 200, 10  # of all groups together that are shown, and of groups in groups
_MAX_NOTES = 100
_CACHE_SIZE = 4_096
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"

# The interpreter's own slots: a class may have attributes of its own under these names, which may raise.
_cause_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__cause__"].__get__
_context_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__context__"].__get__
_hides_context: Callable[[BaseException], bool] = BaseException.__dict__["__suppress_context__"].__get__
_members_of: Callable[[BaseException], tuple[BaseException, ...]] = BaseExceptionGroup.__dict__["exceptions"].__get__

_lines: dict[tuple[str, CodeType, int | None], str] = {}


class TextMasker(Protocol):
    """What takes secrets out of texts."""

    def mask_text(self, text: str) -> tuple[str, int]:
        """The text without its secrets, and how many there were."""

    def __hash__(self) -> int:
        """Maskers that mask alike may be equal."""


def describe(
    error: BaseException, *, masker: TextMasker | None = None, traceback: TracebackType | None = None
) -> Failure:
    """What is kept of an exception, whatever it is: where nothing else can be said of it, its type.

    Args:
        error: any exception, also one that fails in each of its methods, or whose chain is circular or endless.
        masker: takes the secrets out of the message and the traceback.
        traceback: where its traceback begins, when that is not where the exception itself says.

    Raises:
        KeyboardInterrupt, SystemExit: only from a signal that arrived meanwhile.
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
    """A failure fit to be stored, of texts that may hold anything: masked, bounded, valid UTF-8."""
    return Failure(
        _kept_again(error_type, MAX_NAME, masker),
        _kept(message, MAX_MESSAGE, masker),
        traceback and _kept_again(traceback, MAX_TRACEBACK, masker),
        cause and _kept(cause, MAX_MESSAGE, masker),
        fingerprint and _kept(fingerprint, MAX_NAME, masker),
    )


def _kept(text: str, limit: int, masker: TextMasker | None) -> str:
    if masker is not None:
        text, _ = masker.mask_text(bounded(text, 4 * limit))  # what is cut here is cut again below
    return bounded(storable(text), limit)


_kept_again = lru_cache(maxsize=64)(_kept)
"""As `_kept`, for what failures at one place share: to look a traceback through takes longer than all else."""


def was_cancelled(error: BaseException) -> bool:
    """Whether all that happened is that the task itself was cancelled; also of a group of such exceptions only."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop()
        members = _members(current)
        if not members and (is_a(current, Exception) or not is_cancellation(type(current))):
            return False
        if id(current) not in seen:
            seen.add(id(current))
            waiting += members
    return True


def _fingerprint(error: BaseException) -> str | None:
    """What the handler says that this failure is like."""
    given = getattr(error, "failaware_fingerprint", None)
    return plain(given) if is_a(given, str) else None  # type: ignore[arg-type]


def _cause(error: BaseException) -> str | None:
    """What an explicit chain (`raise … from …`) or a group goes back to; None of an exception that stands alone."""
    roots = _roots(error)
    causes = [_remote_cause(root) or (None if root is error else _type_and_message(root)) for root in roots]
    return MEMBER.join(dict.fromkeys(cause for cause in causes if cause)) or None


def _roots(error: BaseException) -> list[BaseException]:
    """Where the chains of an exception or of a group's members begin; each group is looked into once."""
    roots: list[BaseException] = []
    waiting, groups = [error], set[int]()
    while waiting and len(roots) < _MAX_CHAIN and len(groups) < _MAX_MEMBERS:
        root = _root(waiting.pop())
        members = _members(root)
        if not members:
            roots.append(root)
        elif id(root) not in groups:
            groups.add(id(root))
            waiting += reversed(members[:_MAX_CHAIN])
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
    """What an exception that came out of another process goes back to there; its text is all that is left of that."""
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
    """The text of one traceback, with its chains and groups; each exception is shown once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._members = self._levels = 0

    def chain(
        self, error: BaseException, named: str | None = None, traceback: TracebackType | None = None
    ) -> Iterator[str]:
        """The exceptions that led here, oldest first, joined by Python's own sentences; the last one is `named`."""
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
        """An exception and those before it, newest first, each with the words between it and the next."""
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
    """What was added to an exception; `__notes__` may be anything, although `add_note` makes it a list of texts."""
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
    yield from map(_place, head)
    if count > _HEAD_FRAMES + _TAIL_FRAMES:
        yield f"  ... {count - _HEAD_FRAMES - _TAIL_FRAMES:,} frames left out ...\n"
    yield from map(_place, tail)


def _place(traceback: TracebackType) -> str:
    """The two lines of a frame; code objects of two files are equal when all but their file is the same."""
    code, number = traceback.tb_frame.f_code, traceback.tb_lineno
    place = (code.co_filename, code, number)
    return _lines.get(place) or _remember(place, traceback.tb_frame)


def _remember(place: tuple[str, CodeType, int | None], frame: FrameType) -> str:
    """The two lines of a frame, kept for the next failure at the same place."""
    file, code, number = place
    source = "" if number is None else guarded(lambda: _source_line(file, number, frame), "")
    text = f'  File "{file}", line {number or "?"}, in {code.co_name}\n' + (f"    {source}\n" if source else "")
    if len(_lines) >= _CACHE_SIZE:
        _lines.clear()
    _lines[place] = text
    return text


def _source_line(file: str, number: int, frame: FrameType) -> str:
    import linecache

    linecache.checkcache(file)  # the file may have changed since another of its lines was read
    return linecache.getline(file, number, frame.f_globals).strip()
