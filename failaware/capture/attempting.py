"""What the caller tries itself: a block or a function whose success or exception is recorded, and re-raised untouched.

Event and attempt are written together when the block ends, in one transaction; a process that is killed inside it
leaves nothing behind.
"""

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

from failaware.capture.exceptions import describe, was_cancelled
from failaware.capture.guarded import guarded, is_a, raised_by_signal, short_name, text_of, type_name
from failaware.capture.json_values import as_json
from failaware.capture.secrets.masking import Masker
from failaware.errors import KeyConflict, PayloadError, UsageError
from failaware.model import Failure, NewEvent
from failaware.warn import warn

F = TypeVar("F", bound=Callable[..., Any])
_END = object()


class Attempting:
    """One try, as a context manager, plain or async; `event_id` is known once the block has ended."""

    def __init__(
        self,
        event: NewEvent,
        write: Callable[[NewEvent, Failure | None], int],
        masker: Masker,
        *,
        check: Callable[[NewEvent], None],
        clock: Callable[[], int],
    ) -> None:
        """Use `Store.attempt`.

        Args:
            event: what is attempted; it is detected when the block begins.
            write: appends the event with an attempt that began when it was detected and ends now; returns its id.
            masker: takes the secrets out of an exception.
            check: raises, before the block begins, if the event cannot be recorded.
            clock: µs since the epoch.
        """
        self.event_id: int | None = None
        self._event, self._write, self._masker = event, write, masker
        self._check, self._clock = check, clock

    def __enter__(self) -> Self:
        self._check_key()
        self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if not _is_left_open(error):
            self._record(self._failure(error))

    async def __aenter__(self) -> Self:
        if self._event.key is not None:
            await _in_thread(self._check_key)
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if not _is_left_open(error):
            failure = self._failure(error)  # here: the exception's objects may belong to this thread
            await _in_thread(lambda: self._record(failure))

    def _begin(self) -> None:
        """Begin a block now, which may be long after the attempt was made, or the next of several blocks."""
        now = self._clock()
        self._event = self._event._replace(occurred_at=now, detected_at=now)
        self.event_id = None

    def _check_key(self) -> None:
        try:
            self._check(self._event)
        except KeyConflict:
            raise
        except Exception:  # noqa: BLE001 - the block comes first; what is wrong with the store is said at its end
            return

    def _failure(self, error: BaseException | None) -> Failure | None:
        return describe(error, masker=self._masker) if error is not None and _is_failure(error) else None

    def _record(self, failure: Failure | None) -> None:
        """Write the outcome; what is wrong with the store must not change it."""
        try:
            self.event_id = self._write(self._event, failure)
        except Exception as unwritten:  # noqa: BLE001 - what the block returned or raised matters more
            outcome = "a success" if failure is None else "a failure"
            warn(f"failaware could not record {outcome}: {text_of(unwritten)}", RuntimeWarning)


async def _in_thread(job: Callable[[], None]) -> None:
    """Run a job of the store, which may be busy, without holding up the event loop."""
    import asyncio

    try:
        await asyncio.to_thread(job)
    except RuntimeError:  # another library's loop, or one that takes no more work
        job()


def attempted(begin: Callable[[Any], Attempting], payload: Callable[..., Any] | None) -> Callable[[F], F]:
    """A decorator that makes every call of a function an attempt; `begin` starts one with a payload."""

    def decorate(function: F) -> F:
        if isinstance(function, staticmethod | classmethod):
            return type(function)(decorate(function.__func__))
        if not callable(function):
            raise UsageError(f"attempted decorates a function, not {short_name(type(function))}")
        signature = guarded(lambda: inspect.signature(function), None)  # some functions written in C have none

        def start(*args: Any, **kwargs: Any) -> Attempting:
            given = _payload(payload or functools.partial(_arguments, signature), args, kwargs)
            try:
                return begin(given)
            except PayloadError as refused:
                return begin({"arguments": f"not recorded: {refused}"})

        return functools.wraps(function)(_wrapper(function, start))  # type: ignore[return-value]

    return decorate


def _wrapper(function: Callable[..., Any], start: Callable[..., Attempting]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, start)
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, start)
    if inspect.isgeneratorfunction(function) and not _is_awaited(function):
        return _generator(function, start)
    generates = _generates(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as ends:
            attempt = ends.enter_context(start(*args, **kwargs))
            result = function(*args, **kwargs)
            wrapper = _wrapper_of(result, generates=generates)
            if wrapper is None:
                return result
            ends.pop_all()  # the work is still to be done, and ends the attempt
            return wrapper(lambda: result, lambda: attempt)()

    return call


def _is_awaited(function: Callable[..., Any]) -> bool:
    """Whether a generator function is a coroutine function of the old kind (`types.coroutine`)."""
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _generates(function: Callable[..., Any]) -> bool:
    """Whether a callable object's `__call__`, or the function that another decorator wraps, is a generator function."""
    made_of: list[object] = [type(function).__call__, guarded(lambda: inspect.unwrap(function), None)]
    return any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in made_of)


def _wrapper_of(result: Any, *, generates: bool) -> Callable[..., Callable[..., Any]] | None:
    """What wraps a result that only begins the work; None of any other.

    A coroutine can be awaited once. A generator may be shared, so it must be this function's own (`generates`).
    """
    if inspect.iscoroutine(result) or (inspect.isgenerator(result) and inspect.isawaitable(result)):
        return _coroutine
    if generates and inspect.isgenerator(result):
        return _generator
    if generates and inspect.isasyncgen(result):
        return _async_generator
    return None


def _coroutine(function: Callable[..., Any], start: Callable[..., Attempting]) -> Callable[..., Any]:
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        async with start(*args, **kwargs):
            return await function(*args, **kwargs)

    return call_async


def _generator(function: Callable[..., Any], start: Callable[..., Attempting]) -> Callable[..., Any]:
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with start(*args, **kwargs):
            return (yield from function(*args, **kwargs))

    return generate


def _async_generator(function: Callable[..., Any], start: Callable[..., Attempting]) -> Callable[..., Any]:
    async def generate_async(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async with start(*args, **kwargs), contextlib.aclosing(function(*args, **kwargs)) as inner:
            step = inner.asend(None)
            while (item := await _next(step)) is not _END:  # what `yield from` is for plain generators
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    raise
                except BaseException as thrown:  # noqa: BLE001 - theirs to handle
                    step = inner.athrow(thrown)

    return generate_async


async def _next(step: Awaitable[Any]) -> Any:
    """What an async generator yields next, or _END."""
    try:
        return await step
    except StopAsyncIteration:
        return _END


def _is_left_open(error: BaseException | None) -> bool:
    """Whether a block ended neither well nor badly: its task was cancelled."""
    return error is not None and was_cancelled(error)


def _is_failure(error: BaseException) -> bool:
    """Leaving early is none: sys.exit(0), or a generator that nobody reads to its end."""
    if is_a(error, SystemExit):
        code = guarded(lambda: error.code, "")  # type: ignore[attr-defined]
        return not (code is None or (is_a(code, int) and int(code) == 0))  # of anything else, 0.0 too, Python makes 1
    return not is_a(error, GeneratorExit)


def _payload(make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What is made of a call's arguments, as JSON; the function must be called whatever they are."""
    try:
        return as_json(make(*args, **kwargs))
    except BaseException as error:
        if raised_by_signal(error):
            raise
        return {"arguments": f"not recorded: {type_name(type(error))}: {text_of(error)}"}


def _arguments(signature: inspect.Signature | None, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The call's arguments by name, without self or cls; by place where the function does not tell their names."""
    if signature is None:
        return {"args": args, "kwargs": kwargs}
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the call itself will say so
        return {}
    return {name: value for name, value in bound.items() if name not in {"self", "cls"}}
