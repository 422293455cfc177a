"""Questions and answers as lines of JSON, between two versions of failaware on two hosts.

The other end may be hostile: what arrives becomes values of the types that an answer has, or is refused.
"""

import json
import re
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from failaware.errors import StoreError

PROTOCOL = 1
"""The version of the protocol: questions, the types of their answers, and how both are written."""

LONGEST_LINE = 256 << 20
"""Bytes of one line."""

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_UNWRITABLE = re.compile("[\ud800-\udfff]")
_SCALARS = (int, str, float, bool, NoneType)


def line(message: dict[str, Any]) -> bytes:
    """A message as one line; named tuples become lists."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def parsed(text: bytes) -> dict[str, Any]:
    """The message of a line.

    Raises:
        StoreError: it is none.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise StoreError("what arrived is not an answer of failaware")
    return message


def decoded(value: Any, kind: Any) -> Any:
    """A value of the declared type.

    Raises:
        StoreError: it has another one.
    """
    try:
        return _decoded(value, kind)
    except (TypeError, ValueError, KeyError) as error:
        raise StoreError(f"an answer is not as the protocol declares: {error}") from None


def _decoded(value: Any, kind: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is None or kind is Any or kind in _SCALARS:
        allowed = _SCALARS if kind is Any else (NoneType if kind is None else kind,)
        if type(value) not in allowed:
            raise TypeError(f"{type(value).__name__} instead of {getattr(kind, '__name__', kind)}")
        if (type(value) is int and not _LEAST <= value <= _MOST) or (type(value) is str and _UNWRITABLE.search(value)):
            raise ValueError("a number of more than 64 bits, or half a character")
        return value
    if origin is UnionType:
        return _one_of(value, inner)
    if origin is dict:
        return {_decoded(name, inner[0]): _decoded(item, inner[1]) for name, item in value.items()}
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} instead of a list")
    if origin is list or (origin is tuple and inner[1:] == (...,)):
        items = [_decoded(item, inner[0]) for item in value]
        return items if origin is list else tuple(items)
    if origin is tuple:
        return tuple(_decoded(item, each) for item, each in zip(value, inner, strict=True))
    hints = _hints(kind)
    return kind(*(_decoded(item, hints[name]) for item, name in zip(value, kind._fields, strict=True)))


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _one_of(value: Any, kinds: tuple[Any, ...]) -> Any:
    if value is None and NoneType in kinds:
        return None
    for kind in kinds:
        if kind is not NoneType:
            try:
                return _decoded(value, kind)
            except TypeError:
                continue
    raise TypeError(f"{type(value).__name__} is none of {kinds}")
