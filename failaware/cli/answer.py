"""What a command answers, and its form as JSON: one ASCII document, harmless in any terminal."""

import json
import sys
from collections.abc import Iterator
from textwrap import indent
from typing import Any, Generic, NamedTuple, TypeVar

from failaware.model.stores import StoreId

Document = TypeVar("Document")
More = TypeVar("More")


class Answer(NamedTuple, Generic[Document, More]):
    """An answer of which --json prints the `document`, while the text shows `more`."""

    document: Document
    more: More


def print_json(answer: Any) -> None:
    """Print an answer's `document`, or the answer: values of the model, plain values, lists of them.

    An iterator is printed as a list, item by item.
    """
    document = getattr(answer, "document", answer)
    if isinstance(document, Iterator):
        _print_items(document)
    else:
        sys.stdout.write(_json(document) + "\n")


def _print_items(items: Iterator[Any]) -> None:
    empty = True
    for item in items:
        sys.stdout.write("[\n" if empty else ",\n")
        sys.stdout.write(indent(_json(item), "  "))
        empty = False
    sys.stdout.write("[]\n" if empty else "\n]\n")


def _json(value: Any) -> str:
    return json.dumps(_plain(value), indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, StoreId):
        return str(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
