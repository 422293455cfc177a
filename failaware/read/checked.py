"""Validation of answers: a query over a damaged store raises StoreCorrupt instead of returning wrong values.

SQLite does not check on reading that a value has its column's declared type. So each answer is checked against the
types of the model, and an unexpected error over a damaged store is raised as StoreCorrupt.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from types import NoneType, UnionType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args, get_type_hints

from failaware.engine import Reader
from failaware.engine.derivation import MARK, check_readable
from failaware.errors import FailawareError, StatementError, StoreCorrupt, StoreError

_SCALARS = {int, str, float, bool, bytes, NoneType}


class HasReader(Protocol):
    """An object that answers from a store."""

    @property
    def db(self) -> Reader:
        """The store."""


S = TypeVar("S", bound=HasReader)
P = ParamSpec("P")
R = TypeVar("R")


def validated(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Decorate a method that returns values of the model.

    Raises:
        StoreCorrupt: the store is damaged.
    """

    @wraps(method)
    def checked(self: S, /, *args: P.args, **named: P.kwargs) -> R:
        try:
            answer = method(self, *args, **named)
            _check(answer)
        except Exception as error:
            if isinstance(error, FailawareError) and not isinstance(error, StatementError):
                raise
            check_readable(self.db.query(MARK), "the store")  # another version may have derived it since it was opened
            if problem := damage(self.db):
                raise StoreCorrupt(
                    f"the store is damaged ({problem}); 'failaware verify' lists the damage, "
                    "and 'failaware export' saves what can be read"
                ) from error
            raise
        return answer

    return checked


def damage(db: Reader) -> str | None:
    """The first defect in the store's schema, pages or value types; None if there is none."""
    try:
        return next((problem for _, problem in db.defects()), None)
    except StoreCorrupt as error:
        return str(error)
    except StoreError:  # a standby, on which the schema cannot be compared
        return None


def _check(answer: Any) -> None:
    """Raise TypeError if a field of a model value does not have its declared type."""
    if isinstance(answer, tuple) and hasattr(answer, "_fields"):
        for position in _nested_fields(type(answer), tuple(map(type, answer))):
            _check(answer[position])
    elif isinstance(answer, list | tuple):
        for item in answer:
            _check(item)


@lru_cache(maxsize=1_024)
def _nested_fields(model: type, types: tuple[type, ...]) -> tuple[int, ...]:
    """The positions of fields that hold nested values; the types of all other fields are checked here.

    Raises:
        TypeError: a field has a type that its declaration does not allow.
    """
    hints, nested = get_type_hints(model), []
    for position, (name, value_type) in enumerate(zip(model._fields, types, strict=True)):  # type: ignore[attr-defined]
        allowed = get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
        if not set(allowed) <= _SCALARS:
            nested.append(position)
        elif value_type not in allowed:
            raise TypeError(f"{name} of {model.__name__} is of type {value_type.__name__}")
    return tuple(nested)
