"""The place of a store: the absolute path of a SQLite file, or the URL of a PostgreSQL database."""

import os
from pathlib import Path

from failaware.errors import StoreMissing, UsageError
from failaware.text import is_url


def resolve(place: str | Path) -> str | Path:
    """Return the place independent of the current folder: an absolute path, or the URL unchanged.

    Symbolic links are not resolved: a link that is changed later leads to another store.

    Raises:
        UsageError: it is not the name of a file.
        StoreMissing: it is relative, and the current folder was removed.
    """
    if not isinstance(place, str | os.PathLike):
        raise UsageError(f"a store's place must be a path or a URL, not {type(place).__name__}")
    name = os.fspath(place)
    if not isinstance(name, str):
        name = os.fsdecode(name)
    if not name:
        raise UsageError("the store's path is empty; name a file, such as failaware.db")
    if "\0" in name:
        raise UsageError("the store's path contains a NUL character; name a file, such as failaware.db")
    if is_url(name):
        return name
    if name == ":memory:":
        raise UsageError("':memory:' is not supported; name a file, for a test one in a temporary folder")
    if name.startswith("file:"):
        raise UsageError(f"'{name}' is a URI; name the file by its path, such as ./failaware.db")
    try:
        return Path(name).absolute()
    except FileNotFoundError:
        raise StoreMissing(
            f"there is no {name}: the current folder was removed; name the store by its full path"
        ) from None
