"""Filters that were used before: kept in the user's own folder for state."""

import contextlib
import json
import os

from .last_look import state_file

_MOST = 50


def kept_filters() -> list[str]:
    """The newest is last."""
    with contextlib.suppress(OSError, ValueError):
        filters = json.loads(state_file("filters.json").read_text(encoding="utf-8"))
        if isinstance(filters, list):
            return [text for text in filters if isinstance(text, str)]
    return []


def keep_filter(text: str) -> None:
    """Remember; where that cannot be written, there is nothing to remember."""
    filters = [*(other for other in kept_filters() if other != text), text][-_MOST:]
    file = state_file("filters.json")
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(filters), encoding="utf-8")
        unfinished.replace(file)
