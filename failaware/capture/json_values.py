"""Converts any value to JSON, even one that is circular, deep, endless, or raises when it is read."""

import math
from collections import UserDict, UserList, deque
from collections.abc import Iterable
from itertools import chain, islice
from types import MappingProxyType, SimpleNamespace
from typing import Any

from failaware.capture.guarded import guarded, is_a, plain, short_name

MAX_DEPTH = 60
"""Levels of lists and dicts that are kept; what is deeper becomes its type's name."""

MAX_ITEMS = 100_000
"""Values that are kept in total: a small structure may contain one list a million times."""

MAX_CHARACTERS = 64 * 1_048_576
"""Characters of all texts together that are kept, for the same reason."""

_MAX_REPR = 200  # characters of the repr of a value that is not JSON
_MAX_BITS = 14_000  # of an integer: about 4,200 digits, fewer than Python's limit for reading one (4,300)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_MOST_WORK = 100_000  # members that a repr may show, and hundreds of characters in them: some 0.1 s
_MAX_MEMBERS = 1_000  # of a value that is kept as its repr, whose cost grows with its members


def as_json(value: Any) -> Any:
    """Return a value that JSON can represent; never raises.

    A value that is not JSON becomes the first 200 characters of its repr, or "<TYPE>" if that fails. A circular or very
    deep one becomes its type and the reason: "<dict: circular>", "<list: nested too deeply>".
    """
    return _Conversion().convert(value)


class _Conversion:
    """Converts one value; tracks the containers it is inside, and how much may still be kept."""

    def __init__(self) -> None:
        self._inside: set[int] = set()
        self._items, self._characters = MAX_ITEMS, MAX_CHARACTERS

    def convert(self, value: Any) -> Any:
        """Return the value, or its replacement."""
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is str or is_a(value, str):
            return self._text(plain(value))
        if kind is dict or kind is list or is_a(value, list, tuple, dict):
            return self._container(value)
        if is_a(value, int):
            return _integer(int.__int__(value))
        if is_a(value, float):
            number = float.__float__(value)
            return number if math.isfinite(number) else repr(number)
        return short_repr(value)

    def _text(self, text: str) -> str:
        self._characters -= len(text)
        return text if self._characters >= 0 else _left_out(text, "left out")

    def _container(self, value: Any) -> Any:
        if id(value) in self._inside:
            return _left_out(value, "circular")
        if len(self._inside) >= MAX_DEPTH:
            return _left_out(value, "nested too deeply")
        self._inside.add(id(value))
        unreadable = object()
        converted = guarded(lambda: self._dict(value) if is_a(value, dict) else self._list(value), unreadable)
        self._inside.discard(id(value))
        return short_repr(value) if converted is unreadable else converted

    def _list(self, value: Iterable[Any]) -> list[Any]:
        converted = []
        for item in value:
            if not self._take():
                converted.append("<more: left out>")
                break
            converted.append(self.convert(item))
        return converted

    def _dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for name, item in value.items():
            if not self._take():
                converted["<more>"] = "left out"
                break
            text = _name(name)
            while text in converted:
                text += "'"  # 1 and "1" are two keys
            converted[text] = self.convert(item)
        return converted

    def _take(self) -> bool:
        self._items -= 1
        return self._items >= 0


def _integer(number: int) -> int | str:
    bits = number.bit_length()
    return number if bits <= _MAX_BITS else f"<int: about {int(bits * math.log10(2)) + 1:,} digits>"


def _name(name: object) -> str:
    """Return a dict's key as text."""
    if type(name) is str or is_a(name, str):
        return plain(name)  # type: ignore[arg-type]
    if is_a(name, int):
        return str(_integer(int.__int__(name)))  # type: ignore[arg-type]
    return str(short_repr(name))


def short_repr(value: object) -> str:
    """Return the first 200 characters of a value's repr, or "<TYPE>" if that fails."""
    return guarded(lambda: _repr(value), f"<{short_name(type(value))}>")


def _repr(value: Any) -> str:
    if is_a(value, bytes, bytearray):
        value = bytes(islice(value, _MAX_REPR))
    elif is_a(value, set, frozenset, deque) and len(value) > _MAX_MEMBERS:
        return _left_out(value, f"{len(value):,} members")
    elif is_a(value, BaseExceptionGroup):
        return f"{short_name(type(value))}({str(value)!r})"  # its repr repeats shared members: 2^n times
    if not guarded(lambda: _is_bounded(value), True):
        return _left_out(value, "too large to show")
    return plain(repr(value))[:_MAX_REPR]


def _is_bounded(value: object) -> bool:
    """Whether a repr that shows all members shows few: a container with a shared member shows it again and again.

    What a repr of somebody's own class does cannot be known.
    """
    left, members = _MOST_WORK, [iter((value,))]
    while members:
        for member in members[-1]:
            left -= 1 + _weight(member)
            if left < 0:
                return False
            if (within := _members(member)) is not None and len(members) < MAX_DEPTH:
                members.append(iter(within))
                break
        else:
            members.pop()
    return True


def _weight(member: Any) -> int:
    return len(member) // 100 if is_a(member, str, bytes, bytearray) else 0


def _members(value: Any) -> Iterable[Any] | None:
    """What the repr of a container of the standard library, of an exception or of a dataclass shows."""
    if is_a(value, dict, MappingProxyType):
        return chain(value.keys(), value.values())
    if is_a(value, list, tuple, set, frozenset, deque, *_VIEWS):
        return value  # type: ignore[no-any-return]
    if is_a(value, BaseException):
        return value.args  # type: ignore[no-any-return]
    if is_a(value, UserDict, UserList):
        return (value.data,)
    if is_a(value, SimpleNamespace) or hasattr(type(value), "__dataclass_fields__"):
        return list(vars(value).values()) if hasattr(value, "__dict__") else None
    return None


def _left_out(value: object, reason: str) -> str:
    return f"<{short_name(type(value))}: {reason}>"
