"""The registry of handlers: which function attempts which events, with which retry policy."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from failaware.capture.exceptions import describe
from failaware.errors import HandlerError
from failaware.text import misfit
from failaware.worker.outcome import is_async, is_generator
from failaware.worker.retry import Retry

_TYPES = 1_000  # whose handlers are remembered
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Handler:
    """One registered function. A `transactional` one is called with the store's open transaction too."""

    pattern: str
    function: Callable[..., Any]
    retry: Retry
    is_async: bool
    transactional: bool


class Handlers:
    """A registry of handlers: which function attempts which events.

    A pattern is an event type ("payment.capture"), a prefix ("payment.*", which also matches deeper types such as
    "payment.card.capture"), or "*" for all. An exact pattern wins, then the longest prefix that matches.
    """

    def __init__(self) -> None:
        self._by_pattern: dict[str, Handler] = {}
        self._by_type: dict[str, Handler] = {}  # as far as they were looked for

    def on(self, pattern: str, *, retry: Retry | None = None, transaction: bool = False) -> Callable[[F], F]:
        """Register the decorated function, sync or async, for events of a type.

        The function is called with the `Event`. If it returns, the attempt is SYNCED; if it raises, FAILED.

        Args:
            pattern: see the class.
            retry: the retry policy; by default `Retry()`.
            transaction: call the function as f(event, transaction), with the store's open `Transaction`, for your own
                tables in the store's database. Its writes and its SYNCED attempt are committed together, exactly once.
                Not for async functions. Keep it short: nothing else can write to the store meanwhile. A PostgreSQL
                server may end a transaction that is idle for 60 seconds (`idle_in_transaction_session_timeout`, which
                `options` in the store's URL can change); the attempt then fails with TransactionEnded.

        Raises:
            HandlerError: the pattern is not valid or already has a handler, or the function is a generator function,
                whose body would not run. An attempt whose handler returns an awaitable fails with HandlerError.
        """
        if not isinstance(pattern, str) or not _is_pattern(pattern):
            raise HandlerError(f"'{pattern}' is not a pattern; use an event type, a prefix such as 'payment.*', or '*'")
        if pattern in self._by_pattern:
            raise HandlerError(f"'{pattern}' has a handler already: {_name(self._by_pattern[pattern].function)}")

        def register(function: F) -> F:
            if not callable(function):
                raise HandlerError(f"the handler of '{pattern}' is a {type(function).__name__}, which cannot be called")
            if is_generator(function):
                raise HandlerError(
                    f"{_name(function)} has 'yield' in it, so calling it runs nothing; use return instead"
                )
            waits = is_async(function)
            if waits and transaction:
                raise HandlerError(f"{_name(function)} is async; a handler with transaction=True is a plain function")
            self._by_pattern[pattern] = Handler(pattern, function, retry or Retry(), waits, transaction)
            self._by_type = {}
            return function

        return register

    def find(self, event_type: str) -> Handler | None:
        """Return the handler for an event type, or None."""
        known = self._by_type.get(event_type)
        if known is not None:
            return known
        for pattern in _patterns_of(event_type):
            if (handler := self._by_pattern.get(pattern)) is not None:
                if len(self._by_type) >= _TYPES:
                    self._by_type.clear()
                self._by_type[event_type] = handler
                return handler
        return None

    def handles(self, event_type: str) -> bool:
        """Whether there is a handler for this event type."""
        return self.find(event_type) is not None

    def __len__(self) -> int:
        return len(self._by_pattern)


def _patterns_of(event_type: str) -> Iterator[str]:
    """The patterns that an event type matches, the most specific first."""
    yield event_type
    prefix = event_type
    while "." in prefix:
        prefix = prefix.rpartition(".")[0]
        yield prefix + ".*"
    yield "*"


def load_handlers(place: str) -> Handlers:
    """Import and return the registry at "module:name" ("module" alone means "module:handlers").

    The current folder is searched last: a file in it cannot replace an installed module.

    Raises:
        HandlerError: there is no such module or name, the import fails, or the object is not a registry with handlers.
    """
    module_name, _, name = place.partition(":")
    name = name or "handlers"
    if not module_name:
        raise HandlerError(f"'{place}' names no module; write module:handlers")
    if "/" in place or module_name.endswith(".py"):
        meant = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise HandlerError(f"'{place}' is a file; name the module, as in 'import {meant}': {meant}")
    with suppress(FileNotFoundError):  # the current folder was removed: only installed modules are found
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
    module = _import(module_name)
    try:
        handlers = getattr(module, name, None)
    except Exception as error:
        raise HandlerError(f"{module_name}:{name} cannot be read: {_described(error)}") from error
    if not isinstance(handlers, Handlers):
        problem = "does not exist" if handlers is None else f"is a {type(handlers).__name__}"
        raise HandlerError(f"{module_name}:{name} {problem}; write handlers = failaware.Handlers() in {module_name}")
    if not len(handlers):
        raise HandlerError(f"{module_name}:{name} has no handler; add one with @{name}.on('some.type')")
    return handlers


def _is_pattern(pattern: str) -> bool:
    """Whether a pattern is valid: blanks are allowed, as in event types; a star only at the end."""
    named = pattern.removesuffix(".*")
    return pattern == "*" or (bool(named) and not set("*?") & set(named) and misfit(named) is None)


def _import(module_name: str) -> ModuleType:
    """Import the user's module.

    Raises:
        HandlerError: there is no such module, or its import fails. KeyboardInterrupt is not caught.
    """
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise HandlerError(f"{module_name} needs the module '{error.name}', which is not installed") from None
        raise HandlerError(f"there is no module '{module_name}' here or among the installed ones") from None
    except SystemExit as left:
        raise HandlerError(
            f"{module_name} ends the program when it is imported ({_described(left)}{_place(left)}); "
            "put what only a script does under: if __name__ == '__main__'"
        ) from left
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise HandlerError(f"{module_name} cannot be imported: {_described(error)}{_place(error)}") from error


def _described(error: BaseException) -> str:
    described = describe(error)
    return f"{described.error_type}: {described.error_message}"


def _place(error: BaseException) -> str:
    """Return where in the user's module an error was raised; a SyntaxError has the place in its message."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or isinstance(error, SyntaxError):
        return ""
    return f" ({last.tb_frame.f_code.co_filename}, line {last.tb_lineno})"


def _name(function: Callable[..., Any]) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)  # partials and objects have no name
    return f"{named.__module__}.{named.__qualname__}"
