"""Detects handlers whose work is not done when they return: generators, coroutines, futures."""

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from failaware.errors import HandlerError

_LAZY: tuple[type, ...] = (GeneratorType, AsyncGeneratorType)


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it returns a coroutine: an async function, a partial of one, or an object with such a method."""
    return _is(inspect.iscoroutinefunction, function)


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether calling it only creates a generator, sync or async, without running its body."""
    return _is(inspect.isgeneratorfunction, function) or _is(inspect.isasyncgenfunction, function)


def _is(kind: Callable[[Any], bool], function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return kind(function) or kind(getattr(type(function), "__call__", None))  # noqa: B004


def check_has_run(result: Any) -> None:
    """Refuse a handler's result if the work is still to be done, or goes on where its failure would be lost.

    Raises:
        HandlerError: it is a generator, a lazy iterator, a coroutine, a future, or another awaitable.
    """
    if result is None:
        return
    kind = _unfinished(result)
    if kind is None:
        return
    with suppress(Exception):
        if inspect.iscoroutine(result):
            result.close()  # without the warning that it was never awaited
    raise HandlerError(kind)


def _unfinished(result: Any) -> str | None:
    """Return why the work of a handler with this result is not done, or None."""
    kind = type(result)
    if issubclass(kind, CoroutineType):
        return (
            f"the handler returned the coroutine {result.__qualname__}; register an async function instead, or await it"
        )
    made = inspect.getattr_static(result, "gen", None)  # the generator of a context manager that was not entered
    if issubclass(kind, (*_LAZY, map, filter)) or issubclass(type(made), _LAZY):
        return f"the handler returned a {kind.__name__}, whose body has not run; run it, and return when it has"
    if hasattr(kind, "__await__") or issubclass(kind, _futures()):
        return f"the handler returned a {kind.__name__}, which is not finished; wait for it, and return when it is"
    return None


def _futures() -> tuple[type, ...]:
    """Return the future type of concurrent.futures, if that is imported."""
    module = sys.modules.get("concurrent.futures")
    return () if module is None else (module.Future,)
