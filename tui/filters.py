"""Filters as texts that keys can change: the filter language's own words, put in or taken out. Pure."""

import re

from failaware.read.filter import CLUSTER_FIELDS, EVENT_FIELDS, values_of

_WORD = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


def value_of(text: str, field: str) -> str | None:
    """The value that a filter asks of this field, if it does."""
    return next((word.partition(":")[2] for word in _WORD.findall(text) if word.startswith(f"{field}:")), None)


def with_value(text: str, field: str, value: str | None) -> str:
    """The filter with this value for the field instead of any other; None takes the field out."""
    words = [word for word in _WORD.findall(text) if not word.startswith(f"{field}:")]
    if value is not None:
        words.append(f'{field}:"{value}"' if " " in value else f"{field}:{value}")
    return " ".join(words)


def after(values: tuple[str, ...], value: str | None) -> str | None:
    """The next value when a key goes through them; after the last one comes none."""
    following = (None, *values, None)
    return following[following.index(value) + 1] if value in following else values[0]


def completions(text: str, *, clusters: bool, types: tuple[str, ...], stores: tuple[str, ...] = ()) -> list[str]:
    """The filter with its last word completed to each field or value that fits; `stores` if there are several."""
    fields = _fields(clusters=clusters, several=bool(stores))
    head, last = text[: len(text) - len(text.rsplit(" ", 1)[-1])], text.rsplit(" ", 1)[-1]
    negation = last[:1] if last[:1] in {"-", "!"} else ""
    field, colon, value = last[len(negation) :].partition(":")
    if not colon:
        return [f"{head}{negation}{name}:" for name in fields if field and name.startswith(field.lower())]
    own = {"type": types, "store": stores}
    known = own.get(field) or values_of(field, clusters=clusters)
    first, comma, part = value.rpartition(",")
    fitting = (v for v in known if v.lower().startswith(part.lower()) and v.lower() != part.lower())
    return [f"{head}{negation}{field}:{first}{comma}{value}" for value in fitting]


def is_half_a_field(text: str, *, clusters: bool, several: bool = False) -> bool:
    """Whether the last word is the beginning of a field: nobody searches for that."""
    word = text.rsplit(" ", 1)[-1].lstrip("-!").lower()
    return len(word) > 1 and any(name.startswith(word) for name in _fields(clusters=clusters, several=several))


def _fields(*, clusters: bool, several: bool) -> list[str]:
    """The names of the fields; of several stores one more."""
    return [*(CLUSTER_FIELDS if clusters else EVENT_FIELDS), *(["store"] if several else [])]
