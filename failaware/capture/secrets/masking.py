"""Replaces secrets with `[masked]` before they are written.

Secrets are recognized by a name (`named_values`, `reported_values`, `command_arguments`) or by their format (`tokens`,
`formats`, `card_numbers`). A secret that is not recognized is stored: this is a safety net, not a guarantee.
"""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from failaware.capture.secrets.card_numbers import card_numbers, has_many_digits
from failaware.capture.secrets.command_arguments import HINTS as ARGUMENT_HINTS
from failaware.capture.secrets.command_arguments import secret_arguments, secret_elements
from failaware.capture.secrets.formats import formatted_secrets
from failaware.capture.secrets.hints import HINTS, is_hinted
from failaware.capture.secrets.named_values import ANNOUNCING, ANNOUNCING_ANYWHERE, MASK, named_values
from failaware.capture.secrets.names import is_secret_list_name, is_secret_name, plain
from failaware.capture.secrets.reported_values import reported_values
from failaware.capture.secrets.tokens import tokens
from failaware.capture.secrets.words import words_in

__all__ = ["MASK", "Masker"]

_words_in = words_in((*HINTS, *ARGUMENT_HINTS))
_SHORT = 16
_SHORT_WORD = re.compile(r"(?!\d{13})[\w.-]*")
"""Most names and many values: too short for a provider's token, and without a separator."""
_ESCAPE = re.compile(r"\\[nrt]")
"""In JSON, its letter would seem to belong to the word after it."""
_SEPARATOR = re.compile(r"[\s=:,<>\[(\"'%]")
"""One of these is between the name of a secret and the secret."""
_WITH_DIGIT = re.compile(r"(?=\D*\d)(?=.*[^\W\d])[^\s\[\]]+")
_LISTS, _CONTAINERS = (list, tuple), (dict, list, tuple)  # quicker than list | tuple
_MAX_PASSES = 4  # a secret next to a masked one may be recognized only then
_MAX_ITEMS = 5_000_000  # of a circular value; encoding it as JSON raises
_VALUE_FIELDS = frozenset(("value", "val", "v", "content", "Value"))
_INPUT_FIELDS = frozenset(("input", "input_value"))
_DESCRIBING_FIELDS = frozenset(("name", "key", "header", "field", "Name", "Key", "loc"))
_NAME_FIELDS = ("name", "key", "header", "field", "Name", "Key")


class Masker:
    """Masks the payloads, messages and tracebacks of one store.

    Args:
        extra_keys: further names of secrets; case and separators are ignored.
        enabled: False masks nothing.
    """

    def __init__(self, extra_keys: Iterable[str] = (), *, enabled: bool = True) -> None:
        self._extra = frozenset(filter(None, map(plain, extra_keys)))
        self._enabled = enabled
        self._announcing = ANNOUNCING
        self._announcing_anywhere = ANNOUNCING_ANYWHERE
        if self._extra:
            names = ["[._-]?".join(map(re.escape, name)) for name in self._extra]
            self._announcing = self._announcing_anywhere = re.compile("|".join([*names, ANNOUNCING_ANYWHERE.pattern]))

    def may_hold(self, text: str) -> bool:
        """Whether a text, or the JSON of a value, may contain a secret; most do not."""
        if not self._enabled:
            return False
        lower = _lower(text)
        words = _words_in(lower)
        return self._may_hold(text, lower, words) or bool(_arguments(text, lower, words))

    def none_holds(self, texts: list[str]) -> bool:
        """Whether it is certain that none of these texts may contain a secret, searching them all at once.

        What `may_hold` finds in one of them is in all of them together, except for arguments of commands, which may be
        taken for those of a command in another text. The price of a search is mostly that of each call.
        """
        if not self._enabled:
            return True
        text = "\n".join(texts)
        lower = _lower(text)
        words = _words_in(lower)
        return words.isdisjoint(ARGUMENT_HINTS) and not self._may_hold(text, lower, words)

    def _may_hold(self, text: str, lower: str, words: AbstractSet[str]) -> bool:
        """As `may_hold`, except for arguments of commands."""
        if self._extra or is_hinted(text, lower, words):
            return True
        latin = text.encode("latin-1", "replace")
        if has_many_digits(latin) or tokens(text, latin):
            return True
        return "\\" in text and bool(
            tokens(unescaped := _ESCAPE.sub(" ", text), unescaped.encode("latin-1", "replace"))
        )

    def mask_text(self, text: str) -> tuple[str, int]:
        """Return the text with its secrets masked, and how many there were."""
        if not self._enabled or (len(text) < _SHORT and _SHORT_WORD.fullmatch(text)):
            return text, 0
        hits = 0
        for _ in range(_MAX_PASSES):
            spans = self._secrets(text)
            if not spans:
                break
            text, replaced = _replace(text, sorted(spans))
            hits += replaced
        return text, hits

    def _secrets(self, text: str) -> list[tuple[int, int]]:
        """Return where secrets begin and end, in no order; they may overlap."""
        lower = _lower(text)
        words = _words_in(lower)
        latin = text.encode("latin-1", "replace")
        spans = tokens(text, latin)
        if self._extra or is_hinted(text, lower, words):
            if _SEPARATOR.search(text) or not text.isascii():
                announcing = self._announcing if text.isascii() else self._announcing_anywhere
                spans += named_values(text, announcing.finditer(lower), self.is_secret_name)
                spans += reported_values(text, lower, self.is_secret_name)
            spans += formatted_secrets(text, lower)
        spans += _arguments(text, lower, words)
        if has_many_digits(latin):
            spans += card_numbers(text)
        return spans

    def mask_value(self, value: Any) -> tuple[Any, int]:
        """Return the decoded JSON value with its secrets masked, and how many there were; the same object if none.

        Works to any depth without recursion, and does not change the caller's dicts and lists.
        """
        if not self._enabled:
            return value, 0
        root: list[Any] = [value]
        remaining: list[tuple[Any, Any]] = [(root, 0)]
        hits = visited = 0
        while remaining and visited < _MAX_ITEMS:
            container, index = remaining.pop()
            item = container[index]
            visited += 1
            if isinstance(item, str):
                container[index], replaced = self.mask_text(item)
            elif isinstance(item, dict):
                container[index], replaced = self._dict(item, remaining)
            elif isinstance(item, _LISTS):
                container[index], replaced = self._list(item, remaining)
            elif type(item) is int and 10**13 <= item < 10**19 and any(card_numbers(str(item))):
                container[index], replaced = MASK, 1
            else:
                continue
            hits += replaced
        return (root[0], hits) if hits else (value, 0)

    def is_secret_name(self, name: object) -> bool:
        """Whether a name is that of a secret."""
        return isinstance(name, str) and (is_secret_name(name) or (bool(self._extra) and plain(name) in self._extra))

    def _dict(self, item: dict[Any, Any], remaining: list[tuple[Any, Any]]) -> tuple[dict[Any, Any], int]:
        copy: dict[Any, Any] = {}
        hits = 0
        described = frozenset() if _DESCRIBING_FIELDS.isdisjoint(item) else self._described_fields(item)
        for name, value in item.items():
            masked_name, replaced = self.mask_text(name) if isinstance(name, str) else (name, 0)
            while masked_name in copy:
                masked_name += "'"  # two names that contained secrets must not become one
            hits += replaced
            if (self.is_secret_name(name) or name in described) and _can_be_secret(value):
                copy[masked_name] = MASK
                hits += 1
                continue
            copy[masked_name] = value
            if isinstance(value, _CONTAINERS) and isinstance(name, str) and is_secret_list_name(name):
                copy[masked_name], replaced = _without_odd_members(value)
                hits += replaced
            remaining.append((copy, masked_name))
        return copy, hits

    def _described_fields(self, item: dict[Any, Any]) -> frozenset[str]:
        """Return the members whose value is a secret that another member names, as in {"name": …, "value": …}."""
        if len(item) > 8:
            return frozenset()
        if any(self.is_secret_name(item.get(field)) for field in _NAME_FIELDS):
            return _VALUE_FIELDS
        location = item.get("loc")  # of a validation error
        if isinstance(location, list | tuple) and location and self.is_secret_name(location[-1]):
            return _INPUT_FIELDS
        return frozenset()

    def _list(self, items: list[Any] | tuple[Any, ...], remaining: list[tuple[Any, Any]]) -> tuple[list[Any], int]:
        copy = list(items)
        hits = 0
        pair = len(copy) == 2
        arguments = self._secret_elements(copy)
        for index, value in enumerate(items):
            before = items[index - 1] if index else None
            if index in arguments:
                copy[index] = value[: arguments[index]] + MASK
                hits += 1
            elif isinstance(before, str) and (pair or before.startswith("-")) and self._announces(before, value):
                copy[index] = MASK
                hits += 1
            else:
                remaining.append((copy, index))
        return copy, hits

    def _secret_elements(self, items: list[Any]) -> dict[int, int]:
        """Return which elements of a command's arguments are secrets, and where in the element the secret begins."""
        if len(items) < 2 or not isinstance(items[0], str) or not isinstance(items[1], str):
            return {}
        return dict(secret_elements([item if isinstance(item, str) else "" for item in items]))

    def _announces(self, name: str, value: Any) -> bool:
        """Whether an element names the next one, as in ["Cookie", …] and ["mysql", "--password", …]."""
        flag = isinstance(value, str) and value.startswith("-")
        return " " not in name and self.is_secret_name(name) and not flag and _can_be_secret(value)


def _arguments(text: str, lower: str, words: AbstractSet[str]) -> list[tuple[int, int]]:
    """Return where secret arguments of commands begin and end."""
    return [] if words.isdisjoint(ARGUMENT_HINTS) else secret_arguments(text, lower)


def _lower(text: str) -> str:
    """Return the text in lower case, with the index of every character unchanged."""
    return text.lower() if text.isascii() else text.replace("\u0130", "I").lower()


def _replace(text: str, spans: list[tuple[int, int]]) -> tuple[str, int]:
    """Return the text with a mask for each span or group of overlapping spans, and the number of masks."""
    parts: list[str] = []
    done = last = 0
    for start, end in spans:
        if parts and start < last:
            last = max(last, end)
            continue
        if parts:
            done = last
        parts += [text[done:start], MASK]
        last = end
    return "".join([*parts, text[last:]]), len(parts) // 2


def _can_be_secret(value: Any) -> bool:
    """Whether a value may be a secret: not a flag, a small number, empty, or already masked."""
    if isinstance(value, bool | float) or value is None or value in ("", [], {}, MASK):
        return False
    return not isinstance(value, int) or abs(value) >= 100


def _without_odd_members(value: Any) -> tuple[Any, int]:
    """Return a list or dict with the members masked that do not look like words, and how many there were."""
    if isinstance(value, dict):
        masked: Any = {name: MASK if _is_odd(member) else member for name, member in value.items()}
        return masked, sum(map(_is_odd, value.values()))
    return [MASK if _is_odd(member) else member for member in value], sum(map(_is_odd, value))


def _is_odd(value: object) -> bool:
    return isinstance(value, str) and len(value) >= 8 and _WITH_DIGIT.fullmatch(value) is not None
