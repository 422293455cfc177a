"""What the caller tries itself: a block or a function whose success or exception is recorded, and re-raised untouched.

Event and attempt are written together when the block ends, in one transaction; a process that is killed inside it
leaves nothing behind.
"""

import contextlib
import functools
import inspect
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

from failaware.capture.exceptions import describe
from failaware.capture.json_values import as_json
from failaware.errors import KeyConflict, PayloadError, StoreError
from failaware.ingest.masking import Masker
from failaware.model import Failure, NewEvent

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
    ) -> None:
        """Use `Store.attempt`.

        Args:
            event: detected now.
            write: appends the event with an attempt that began when it was detected and ends now; returns its id.
            masker: takes the secrets out of an exception.
            check: raises, before the block begins, if the event cannot be recorded.
        """
        self.event_id: int | None = None
        self._event, self._write, self._masker, self._check = event, write, masker, check

    def __enter__(self) -> Self:
        self._check(self._event)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end(error)

    async def __aenter__(self) -> Self:
        if self._event.key is not None:
            import asyncio

            await asyncio.to_thread(self._check, self._event)  # a busy store must not hold up the event loop
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self._end, error)  # the commit must not hold up the event loop

    def _end(self, error: BaseException | None) -> None:
        if error is None or not _is_failure(error):
            self.event_id = self._write(self._event, None)
            return
        try:
            self.event_id = self._write(self._event, describe(error, masker=self._masker))
        except (StoreError, KeyConflict) as unwritten:  # the caller's own error matters more than ours
            warnings.warn(f"failaware could not record a failure: {unwritten}", RuntimeWarning, stacklevel=3)


def attempted(begin: Callable[[Any], Attempting], payload: Callable[..., Any] | None) -> Callable[[F], F]:
    """A decorator that makes every call of a function an attempt; `begin` starts one with a payload."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        def start(*args: Any, **kwargs: Any) -> Attempting:
            given = _arguments(signature, args, kwargs) if payload is None else payload(*args, **kwargs)
            try:
                return begin(given)
            except PayloadError as refused:
                if payload is not None:
                    raise
                return begin({"arguments": f"not recorded: {refused}"})

        return functools.wraps(function)(_wrapper(function, start))  # type: ignore[return-value]

    return decorate


def _wrapper(function: Callable[..., Any], start: Callable[..., Attempting]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            async with start(*args, **kwargs):
                return await function(*args, **kwargs)

        return call_async
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, start)
    if inspect.isgeneratorfunction(function):

        def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with start(*args, **kwargs):
                return (yield from function(*args, **kwargs))

        return generate

    def call(*args: Any, **kwargs: Any) -> Any:
        with start(*args, **kwargs):
            return function(*args, **kwargs)

    return call


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


def _is_failure(error: BaseException) -> bool:
    """Leaving early is none: sys.exit(0), or a generator that nobody reads to its end."""
    if isinstance(error, SystemExit):
        return error.code not in {None, 0}
    return not isinstance(error, GeneratorExit)


def _arguments(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The call's arguments by name, without self or cls; what is no plain JSON value, as its beginning in words."""
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the call itself will say so
        return {}
    return {name: as_json(value) for name, value in bound.items() if name not in {"self", "cls"}}
