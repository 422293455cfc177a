"""Answers that can be relied on: what a damaged store makes of a question is an error that says so, and no answer.

SQLite does not check, when it reads, that a value has the type that its column is declared to have. So each answer is
held against the types of the model; and an error that nobody foresaw, over a store that is damaged, is told as damage.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from types import NoneType, UnionType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args, get_type_hints

from failaware.engine import Reader
from failaware.engine.derivation import MARK, check_readable
from failaware.errors import FailawareError, StatementError, StoreCorrupt, StoreError

_SCALARS = {int, str, float, bool, bytes, NoneType}


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
    def ask(self: S, /, *args: P.args, **named: P.kwargs) -> R:
        try:
            answer = method(self, *args, **named)
            _check(answer)
        except Exception as error:
            if isinstance(error, FailawareError) and not isinstance(error, StatementError):
                raise
            check_readable(self.db.query(MARK), "the store")  # derived since it was opened, by another version
            if what := damage(self.db):
                raise StoreCorrupt(
                    f"the store is damaged ({what}); 'failaware verify' lists what is, "
                    "and 'failaware export' saves what can be read"
                ) from error
            raise
        return answer

    return ask


def damage(db: Reader) -> str | None:
    """The first that is wrong with the store's schema, pages, or types of values; None if nothing is."""
    try:
        return next((problem for _, problem in db.defects()), None)
    except StoreCorrupt as error:
        return str(error)
    except StoreError:  # a standby, on which the schema cannot be compared
        return None


def _check(answer: Any) -> None:
    """Raise TypeError where a value of the model is not of the type it is declared to have."""
    if isinstance(answer, tuple) and hasattr(answer, "_fields"):
        for position in _further(type(answer), tuple(map(type, answer))):
            _check(answer[position])
    elif isinstance(answer, list | tuple):
        for item in answer:
            _check(item)


@lru_cache(maxsize=1_024)
def _further(model: type, types: tuple[type, ...]) -> tuple[int, ...]:
    """Which fields of a value that holds these types hold further values; the others have a type that they may have.

    Raises:
        TypeError: one has not.
    """
    hints, further = get_type_hints(model), []
    for position, (name, found) in enumerate(zip(model._fields, types, strict=True)):  # type: ignore[attr-defined]
        allowed = get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
        if not set(allowed) <= _SCALARS:
            further.append(position)
        elif found not in allowed:
            raise TypeError(f"{name} of {model.__name__} is of type {found.__name__}")
    return tuple(further)
