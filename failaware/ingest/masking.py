"""Secrets replaced by `[masked]` before they reach a log that never forgets.

Two ways to tell a secret: it stands under a name that says so (`names`), or it has the shape of one (`shapes`). What
cannot be told either way is kept: this is a safety net, not a promise.
"""

import re
from collections.abc import Iterable
from typing import Any

from failaware.ingest.names import plain, says_secret
from failaware.ingest.shapes import MASK, SHAPES, mask_named, mask_shapes

__all__ = ["MASK", "Masker"]

_NAME_HINTS = ("pass", "pwd", "secret", "token", "key", "auth", "cookie", "cred", "jwt", "cvv", "cvc", "otp", "seed")
_MORE_HINTS = (
    "sid",  # also in words such as "inside": those texts are looked at more closely, for nothing
    "card",
    "ccnumber",
    "session",
    "code",
    "bearer",
    "identified",
    " -u",
    "--user",
    "kennwort",
    "contrasena",
    "senha",
)


def _without_longer(hints: Iterable[str]) -> tuple[str, ...]:
    """The hints in which no other one stands."""
    every = set(hints)
    return tuple(sorted(hint for hint in every if not any(other != hint and other in hint for other in every)))


_HINTS = _without_longer(
    (*_NAME_HINTS, *_MORE_HINTS, *(hint for shape in SHAPES if not shape.unbroken for hint in shape.hints))
)
_UNBROKEN = re.compile(r"[\w-]{16}")
_UNBROKEN_HINTS = _without_longer(hint for shape in SHAPES if shape.unbroken for hint in shape.hints)
"""One of these is in every text with a secret that is no card number; looking for them is far cheaper than for it."""
_SHORT_WORD = re.compile(r"(?!\d{13})[\w.-]{0,15}")
"""Most names and many values: too short for a provider's token, and nothing in it announces anything."""
_SEPARATOR = re.compile(r"[\s=:,<>\[(\"'%]")
"""One of these stands between what announces a secret and the secret."""
_MANY_DIGITS = re.compile(r"\d(?:[ -]?\d){12}")
_LETTERS = bytes(ord("x") if byte >= 128 or chr(byte).isalnum() or byte in b"-_" else ord(" ") for byte in range(256))
_DIGITS = bytes(ord("0") if byte >= 128 or chr(byte).isdigit() else ord(" ") for byte in range(256))
"""Tables that make a text's runs easy to find, and as if every character beyond ASCII belonged to one."""
_CARD = re.compile(r"(?<![\w.-])(?:[45]|3[04678]|2[2-7]|6[0245])(?:[ -]?\d){11,17}(?![\w-]|\.\d)")
_MAX_PASSES = 4  # what stands beside a masked secret may then show itself
_MAX_ITEMS = 5_000_000  # of a value that holds itself; writing it as JSON will say so
_VALUE_FIELDS = {"value", "val", "v", "content"}
_NAME_FIELDS = ("name", "key", "header", "field")


class Masker:
    """Masks the payloads, messages and tracebacks of one store.

    Args:
        extra_keys: names of secrets besides the usual ones; case and separators do not matter.
        enabled: False leaves everything as it is.
    """

    def __init__(self, extra_keys: Iterable[str] = (), *, enabled: bool = True) -> None:
        self._extra = frozenset(map(plain, extra_keys))
        self._enabled = enabled

    def may_hold(self, text: str) -> bool:
        """Whether a text, or the JSON of a value, is worth a closer look; most are not."""
        if not self._enabled:
            return False
        return bool(self._extra) or _is_hinted(text, text.lower()) or _has_many_digits(text)

    def mask_text(self, text: str) -> tuple[str, int]:
        """The text without its secrets, and how many there were."""
        if not self._enabled or _SHORT_WORD.fullmatch(text):
            return text, 0
        hits = 0
        for _ in range(_MAX_PASSES):
            text, found = self._pass(text)
            hits += found
            if not found:
                break
        return text, hits

    def _pass(self, text: str) -> tuple[str, int]:
        named = shaped = cards = 0
        lower = text.lower()
        if self._extra or _is_hinted(text, lower):
            if _SEPARATOR.search(text):
                text, named = mask_named(text, self.says_secret)
            text, shaped = mask_shapes(text, lower, unbroken=_UNBROKEN.search(text) is not None)
        if _has_many_digits(text):
            text, cards = _mask_cards(text)
        return text, named + shaped + cards

    def mask_value(self, value: Any) -> tuple[Any, int]:
        """The decoded JSON value without its secrets, and how many there were; the same object when there were none.

        Works to any depth without recursion; the caller's dicts and lists stay as they are.
        """
        if not self._enabled:
            return value, 0
        root: list[Any] = [value]
        waiting: list[tuple[Any, Any]] = [(root, 0)]
        hits = seen = 0
        while waiting and seen < _MAX_ITEMS:
            holder, place = waiting.pop()
            item = holder[place]
            seen += 1
            if isinstance(item, str):
                holder[place], found = self.mask_text(item)
            elif isinstance(item, dict):
                holder[place], found = self._dict(item, waiting)
            elif isinstance(item, list | tuple):
                holder[place], found = self._list(item, waiting)
            elif type(item) is int and 10**14 <= item < 10**16 and _mask_cards(str(item))[1]:
                holder[place], found = MASK, 1
            else:
                continue
            hits += found
        return (root[0], hits) if hits else (value, 0)

    def says_secret(self, name: object) -> bool:
        """Whether a name announces a secret."""
        return isinstance(name, str) and (says_secret(name) or (bool(self._extra) and plain(name) in self._extra))

    def _dict(self, item: dict[Any, Any], waiting: list[tuple[Any, Any]]) -> tuple[dict[Any, Any], int]:
        copy: dict[Any, Any] = {}
        hits = 0
        described = len(item) <= 8 and any(self.says_secret(item.get(field)) for field in _NAME_FIELDS)
        for name, value in item.items():
            kept, found = self.mask_text(name) if isinstance(name, str) else (name, 0)
            while kept in copy:
                kept += "'"  # two names that were secrets must not become one
            hits += found
            if (self.says_secret(name) or (described and name in _VALUE_FIELDS)) and _can_be_secret(value):
                copy[kept] = MASK
                hits += 1
            else:
                copy[kept] = value
                waiting.append((copy, kept))
        return copy, hits

    def _list(self, items: list[Any] | tuple[Any, ...], waiting: list[tuple[Any, Any]]) -> tuple[list[Any], int]:
        copy = list(items)
        hits = 0
        pair = len(copy) == 2
        for place, value in enumerate(items):
            before = items[place - 1] if place else None
            if isinstance(before, str) and (pair or before.startswith("-")) and self._announces(before, value):
                copy[place] = MASK
                hits += 1
            else:
                waiting.append((copy, place))
        return copy, hits

    def _announces(self, name: str, value: Any) -> bool:
        """In ["Cookie", …] and in ["mysql", "--password", …]."""
        flag = isinstance(value, str) and value.startswith("-")
        return " " not in name and self.says_secret(name) and not flag and _can_be_secret(value)


def _is_hinted(text: str, lower: str) -> bool:
    if any(map(lower.__contains__, _HINTS)):
        return True
    # The table first: it takes a tenth of the time of the expression, and most texts hold no such run.
    if b"x" * 16 not in text.encode(errors="replace").translate(_LETTERS) or _UNBROKEN.search(text) is None:
        return False
    return any(map(lower.__contains__, _UNBROKEN_HINTS))


def _has_many_digits(text: str) -> bool:
    """Whether there are as many digits in a row as a card has, but for single blanks and dashes."""
    if b"0" * 13 not in text.encode(errors="replace").translate(_DIGITS, b" -"):
        return False
    return _MANY_DIGITS.search(text) is not None


def _can_be_secret(value: Any) -> bool:
    """Not a flag, a count, nothing at all, or masked before."""
    if isinstance(value, bool | float) or value is None or value in ("", [], {}, MASK):
        return False
    return not isinstance(value, int) or abs(value) >= 100


def _mask_cards(text: str) -> tuple[str, int]:
    cards = 0

    def card(match: re.Match[str]) -> str:
        nonlocal cards
        if not _luhn(match[0]):
            return match[0]
        cards += 1
        return MASK

    return _CARD.sub(card, text), cards


def _luhn(text: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1)."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(set(digits)) == 1:
        return False
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(odd) + sum(sum(divmod(2 * digit, 10)) for digit in even)) % 10 == 0
