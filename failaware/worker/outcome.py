"""What a handler returned shows whether it has run: a generator, or anything still to be awaited, has done nothing."""

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
    """Whether calling it gives a coroutine: an async function or method, a partial of one, or an object called so."""
    return _is(inspect.iscoroutinefunction, function)


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether calling it only makes a generator, of either kind, whose body nobody runs; looked at as by `is_async`."""
    return _is(inspect.isgeneratorfunction, function) or _is(inspect.isasyncgenfunction, function)


def _is(kind: Callable[[Any], bool], function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return kind(function) or kind(getattr(type(function), "__call__", None))  # noqa: B004


def check_has_run(result: Any) -> None:
    """Refuse what a handler returned if its work is still to be done, or is being done where nobody would see it fail.

    Raises:
        HandlerError: it is a generator, a lazy iterator, a coroutine, a future, or anything else to be awaited.
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
    """Why the work of a handler that returned this is not done; None if nothing says so."""
    kind = type(result)
    if issubclass(kind, CoroutineType):
        return (
            f"the handler returned the coroutine {result.__qualname__}; register an async function instead, or await it"
        )
    made = inspect.getattr_static(result, "gen", None)  # the generator of a context manager that nobody entered
    if issubclass(kind, (*_LAZY, map, filter)) or issubclass(type(made), _LAZY):
        return f"the handler returned a {kind.__name__}, whose body has not run; run it, and return when it has"
    if hasattr(kind, "__await__") or issubclass(kind, _futures()):
        return f"the handler returned a {kind.__name__}, which is not finished; wait for it, and return when it is"
    return None


def _futures() -> tuple[type, ...]:
    """The futures of concurrent.futures: nobody has one who has not imported it."""
    module = sys.modules.get("concurrent.futures")
    return () if module is None else (module.Future,)
