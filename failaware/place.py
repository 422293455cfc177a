"""Where a store is: the full path of a SQLite file, or the URL of a PostgreSQL database."""

import os
from pathlib import Path

from failaware.errors import StoreMissing, UsageError
from failaware.text import is_url


def resolve(place: str | Path) -> str | Path:
    """The place as it stays the same wherever this process goes: a path in full, a URL as it is.

    Links are not followed: a link that is changed later leads to another store, as it is meant to.

    Raises:
        UsageError: it names no file; the message says what to name.
        StoreMissing: it is relative to a folder that was removed.
    """
    if not isinstance(place, str | os.PathLike):
        raise UsageError(f"a store's place is a path or a URL, not {type(place).__name__}")
    name = os.fspath(place)
    if not isinstance(name, str):
        name = os.fsdecode(name)
    if not name:
        raise UsageError("the store's path is empty; name a file, such as failaware.db")
    if "\0" in name:
        raise UsageError("the store's path holds a NUL, which no file's name can; name a file, such as failaware.db")
    if is_url(name):
        return name
    if name == ":memory:":
        raise UsageError("a store is a file: ':memory:' would be lost; for a test, name a file in a temporary folder")
    if name.startswith("file:"):
        raise UsageError(f"'{name}' is a URI; name the file by its path, such as ./failaware.db")
    try:
        return Path(name).absolute()
    except FileNotFoundError:
        raise StoreMissing(
            f"there is no {name}: the current folder was removed; name the store by its full path"
        ) from None
