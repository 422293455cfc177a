"""Attempts made by the caller: records how a block or a function ends, and re-raises its exception unchanged.

The event and its attempt are written in one transaction when the block ends. A process that is killed before that
leaves nothing in the store.
"""

import contextlib
import contextvars
import functools
import inspect
import sys
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
T = TypeVar("T")
_END = object()


class AttemptRecorder:
    """One attempt, as a context manager, plain or async. `event_id` is set when the block ends.

    Unless it `needs_key`, a key that belongs to an event of another type is left out, with a warning.
    """

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
            event: what is attempted; the block sets `occurred_at` and `detected_at` when it begins.
            write: appends the event with an attempt that began at `detected_at` and ends now; returns the event's id.
            masker: masks secrets in the exception.
            check: raises KeyConflict, before the block begins, if the key belongs to an event of another type.
            clock: µs since the epoch.
        """
        self.event_id: int | None = None
        self.needs_key = True
        self._event, self._write, self._masker = event, write, masker
        self._check, self._clock = check, clock

    def __enter__(self) -> Self:
        self._check_key()
        self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.ended_by(error)()

    async def __aenter__(self) -> Self:
        if self._event.key is not None:
            await in_thread(self._check_key)
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await in_thread(self.ended_by(error))

    def ended_by(self, error: BaseException | None) -> Callable[[], None]:
        """Return what records the end of the block; the exception is read at once, in the thread that it belongs to."""
        if _is_cancelled(error):
            return lambda: None
        return functools.partial(self._record, self._failure(error))

    def _begin(self) -> None:
        """Set the times: the block may begin long after `Store.attempt` was called, and one object may run several."""
        now = self._clock()
        self._event = self._event._replace(occurred_at=now, detected_at=now)
        self.event_id = None

    def _check_key(self) -> None:
        try:
            self._check(self._event)
        except KeyConflict as error:
            if self.needs_key:
                raise
            self._event = self._event._replace(key=None)
            warn(f"failaware records a call without its key: {error}", RuntimeWarning)
        except Exception:  # noqa: BLE001 - the block must run; `_record` reports what is wrong with the store
            return

    def _failure(self, error: BaseException | None) -> Failure | None:
        return describe(error, masker=self._masker) if error is not None and _is_failure(error) else None

    def _record(self, failure: Failure | None) -> None:
        """Write the outcome. An error of the store becomes a warning."""
        try:
            self.event_id = self._write(self._event, failure)
        except Exception as error:  # noqa: BLE001 - it must not replace what the block returned or raised
            outcome = "a success" if failure is None else "a failure"
            warn(f"failaware could not record {outcome}: {text_of(error)}", RuntimeWarning)


async def in_thread(job: Callable[[], T]) -> T:
    """Run a job in a thread: a locked store must not block the event loop. If it is cancelled, the job is run still."""
    import asyncio

    try:
        running = asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, job)
    except RuntimeError:  # the loop of another library, or one that is shutting down
        return job()
    return await asyncio.shield(running)


def attempted(
    begin: Callable[[Any, str | None], AttemptRecorder],
    payload: Callable[..., Any] | None,
    key: Callable[..., str | None],
) -> Callable[[F], F]:
    """Return a decorator that makes every call of a function an attempt.

    Args:
        begin: starts an attempt with a payload and a key.
        payload: makes the payload from a call's arguments; None takes the arguments by name.
        key: makes the key from them.
    """

    def decorate(function: F) -> F:
        if isinstance(function, staticmethod | classmethod):
            return type(function)(decorate(function.__func__))
        if not callable(function):
            raise UsageError(f"attempted decorates a function, not {short_name(type(function))}")
        signature = guarded(lambda: inspect.signature(function), None)  # some functions written in C have none

        def start(*args: Any, **kwargs: Any) -> AttemptRecorder:
            call_payload = _payload(payload or functools.partial(_arguments, signature), args, kwargs)
            make_key = functools.partial(key, *args, **kwargs)
            try:
                return _with_key(begin, call_payload, make_key)
            except PayloadError as error:
                return _with_key(begin, {"arguments": f"not recorded: {error}"}, make_key)

        return functools.wraps(function)(_wrapper(function, start))  # type: ignore[return-value]

    return decorate


def _with_key(
    begin: Callable[[Any, str | None], AttemptRecorder], payload: Any, make_key: Callable[[], str | None]
) -> AttemptRecorder:
    """Begin an attempt with its key, or without one if that cannot be made: the function must be called in any case."""
    try:
        return begin(payload, make_key())
    except PayloadError:
        raise
    except UsageError as error:
        reason = str(error)
    except BaseException as error:
        if raised_by_signal(error):
            raise
        reason = f"{type_name(type(error))}: {text_of(error)}"
    warn(f"failaware records a call without its key: {reason}", RuntimeWarning)
    return begin(payload, None)


def _wrapper(function: Callable[..., Any], start: Callable[..., AttemptRecorder]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, start)
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, start)
    if inspect.isgeneratorfunction(function) and not _is_awaited(function):
        return _generator(function, start)
    generates = _generates(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as stack:
            attempt = stack.enter_context(start(*args, **kwargs))
            result = function(*args, **kwargs)
            wrapper = _wrapper_of(result, generates=generates)
            if wrapper is None and _ends_later(result, attempt, generates=generates):
                stack.pop_all()
            if wrapper is None:
                return result
            stack.pop_all()  # the work is not done yet: the attempt ends with it
            return wrapper(lambda: result, lambda: attempt)()

    return call


def _is_awaited(function: Callable[..., Any]) -> bool:
    """Whether a generator function is a generator-based coroutine (`types.coroutine`)."""
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _generates(function: Callable[..., Any]) -> bool:
    """Whether the `__call__` of an object, or the function inside another decorator, is a generator function."""
    candidates: list[object] = [type(function).__call__, guarded(lambda: inspect.unwrap(function), None)]
    return any(inspect.isgeneratorfunction(item) or inspect.isasyncgenfunction(item) for item in candidates)


def _wrapper_of(result: Any, *, generates: bool) -> Callable[..., Callable[..., Any]] | None:
    """Return the wrapper for a result whose work is still to be done, or None.

    A coroutine can be awaited only once. A generator may be shared, so it must be this function's own (`generates`).
    """
    if inspect.iscoroutine(result) or (inspect.isgenerator(result) and inspect.isawaitable(result)):
        return _coroutine
    if generates and inspect.isgenerator(result):
        return _generator
    if generates and inspect.isasyncgen(result):
        return _async_generator
    return None


def _ends_later(result: Any, attempt: AttemptRecorder, *, generates: bool) -> bool:
    """Whether the attempt ends with a result that the caller gets as it is: a future, or a generator's context."""
    if _is_future(result):
        result.add_done_callback(functools.partial(_record_future, attempt))
        return True
    if not generates or not isinstance(
        result, contextlib.AbstractContextManager | contextlib.AbstractAsyncContextManager
    ):
        return False
    made_by = getattr(result, "gen", None)  # of `contextlib.contextmanager`
    wrapper = _wrapper_of(made_by, generates=True)
    if wrapper is None:
        return False
    context: Any = result
    context.gen = wrapper(lambda: made_by, lambda: attempt)()
    return True


def _is_future(result: Any) -> bool:
    """Whether it is a future or task of asyncio, or a future of concurrent.futures; neither is imported for it."""
    futures = sys.modules.get("concurrent.futures")
    return hasattr(type(result), "_asyncio_future_blocking") or (futures is not None and is_a(result, futures.Future))


def _record_future(attempt: AttemptRecorder, future: Any) -> None:
    """Record how a future ended; in the loop of asyncio by a thread, since the store may be busy."""
    if future.cancelled():
        return
    # `exception()` would mark it as read, and asyncio would no longer report an unread one.
    error = future._exception if hasattr(future, "_exception") else future.exception()  # noqa: SLF001
    end: Callable[[], None] | None = guarded(lambda: attempt.ended_by(error), None)
    if end is None:
        return
    if hasattr(future, "get_loop"):
        try:
            future.get_loop().run_in_executor(None, end)
        except RuntimeError:  # the loop ends
            end()
    else:
        end()


def _coroutine(function: Callable[..., Any], start: Callable[..., AttemptRecorder]) -> Callable[..., Any]:
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        async with start(*args, **kwargs):
            return await function(*args, **kwargs)

    return call_async


def _generator(function: Callable[..., Any], start: Callable[..., AttemptRecorder]) -> Callable[..., Any]:
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with start(*args, **kwargs):
            return (yield from function(*args, **kwargs))

    return generate


def _async_generator(function: Callable[..., Any], start: Callable[..., AttemptRecorder]) -> Callable[..., Any]:
    async def generate_async(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async with start(*args, **kwargs), contextlib.aclosing(function(*args, **kwargs)) as inner:
            step = inner.asend(None)
            while (item := await _next(step)) is not _END:  # `yield from`, which async generators do not have
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    raise
                except BaseException as thrown:  # noqa: BLE001 - for the function to handle
                    step = inner.athrow(thrown)

    return generate_async


async def _next(step: Awaitable[Any]) -> Any:
    """Return the next item of an async generator, or _END."""
    try:
        return await step
    except StopAsyncIteration:
        return _END


def _is_cancelled(error: BaseException | None) -> bool:
    """Whether the task was cancelled, which is neither a success nor a failure of the block."""
    return error is not None and was_cancelled(error)


def _is_failure(error: BaseException) -> bool:
    """Whether an exception is a failure; sys.exit(0) and closing a generator early are not."""
    if is_a(error, SystemExit):
        code = guarded(lambda: error.code, "")  # type: ignore[attr-defined]
        return not (
            code is None or (is_a(code, int) and int(code) == 0)
        )  # Python exits with 1 for anything else, even 0.0
    return not is_a(error, GeneratorExit)


def _payload(make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the payload made of a call's arguments. It never fails: the function must be called in any case."""
    try:
        return as_json(make(*args, **kwargs))
    except BaseException as error:
        if raised_by_signal(error):
            raise
        return {"arguments": f"not recorded: {type_name(type(error))}: {text_of(error)}"}


def _arguments(signature: inspect.Signature | None, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return a call's arguments by name, without self and cls, or by position when there is no signature."""
    if signature is None:
        return {"args": args, "kwargs": kwargs}
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the call raises the same
        return {}
    return {name: value for name, value in bound.items() if name not in {"self", "cls"}}
