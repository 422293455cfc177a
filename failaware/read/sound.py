"""Answers that can be relied on: what a damaged store makes of a question is an error that says so, and no answer.

SQLite does not check, when it reads, that a value has the type that its column is declared to have. So each answer is
held against the types of the model; and an error that nobody foresaw, over a store that is damaged, is told as damage.
"""

from collections.abc import Callable
from functools import cache, wraps
from types import NoneType, UnionType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args, get_type_hints

from failaware.engine import Reader
from failaware.engine.expected import differences, integrity
from failaware.errors import FailawareError, StoreCorrupt

_SCALARS = (int, str, float, bool, bytes, NoneType)


class Asked(Protocol):
    """Whoever answers from a store."""

    @property
    def db(self) -> Reader:
        """The store."""


S = TypeVar("S", bound=Asked)
P = ParamSpec("P")
R = TypeVar("R")


def sound(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Decorates a method whose answer is made of values of the model.

    Raises:
        StoreCorrupt: the store is damaged.
    """

    @wraps(method)
    def ask(self: S, *args: P.args, **named: P.kwargs) -> R:
        try:
            answer = method(self, *args, **named)
            _check(answer)
        except FailawareError:
            raise
        except Exception as error:
            if what := damage(self.db):
                raise StoreCorrupt(
                    f"the store is damaged ({what}); 'failaware verify' lists what is, and 'failaware export' saves what "
                    "can be read"
                ) from error
            raise
        return answer

    return ask


def damage(db: Reader) -> str | None:
    """The first that is wrong with the store's schema, pages, or types of values; None if nothing is."""
    try:
        return next(differences(db), None) or next(iter(integrity(db)), None)
    except StoreCorrupt as error:
        return str(error)


def _check(answer: Any) -> None:
    """Raise TypeError where a value of the model is not of the type it is declared to have."""
    if isinstance(answer, tuple) and hasattr(answer, "_fields"):
        for value, allowed in zip(answer, _allowed(type(answer)), strict=True):
            if allowed and type(value) not in allowed:
                raise TypeError(f"{type(answer).__name__} holds {type(value).__name__}")
            if not allowed:
                _check(value)
    elif isinstance(answer, list | tuple):
        for item in answer:
            _check(item)


@cache
def _allowed(kind: type) -> tuple[frozenset[type] | None, ...]:
    """For each field the types that it may have; None for what holds further values."""
    hints = get_type_hints(kind)
    return tuple(_scalars(hints[name]) for name in kind._fields)  # type: ignore[attr-defined]


def _scalars(hint: Any) -> frozenset[type] | None:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return frozenset(kinds) if all(kind in _SCALARS for kind in kinds) else None
