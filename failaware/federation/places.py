"""The places of several stores, each with a name: repeated `--db`, and groups in the user's settings."""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from failaware.errors import UsageError
from failaware.text import is_url, shown_place
from failaware.user_settings import settings_file

SSH = "ssh://"
_ODD = re.compile(r"[^\w.+-]+")
_MOST = 1_000  # stores


class StorePlace(NamedTuple):
    """A store's name among several, and its place: a file, a PostgreSQL URL, or ssh://host/path."""

    name: str
    place: str

    @property
    def is_remote(self) -> bool:
        """Whether it is read by failaware on another host, over ssh."""
        return self.place.startswith(SSH)


def named_places(given: Sequence[str]) -> list[StorePlace]:
    """The stores that the values of `--db` name, `@group` included; their names are distinct.

    Raises:
        UsageError: there is no such group, or the settings are not as described in docs/federation.md.
    """
    stores: dict[object, tuple[str | None, str]] = {}
    for place in given:
        for name, own in _group(place[1:]) if place.startswith("@") else [(None, place)]:
            stores.setdefault(_identity(own), (name, own))
    named = list(stores.values())
    if len(named) > _MOST:
        raise UsageError(f"{len(named):,} stores are too many to be asked as one; name at most {_MOST:,}")
    return [StorePlace(name, place) for name, (_, place) in zip(_names(named), named, strict=True)]


def _identity(place: str) -> object:
    """What two names of one file have in common, so that it does not count twice."""
    if is_url(place):
        return place
    try:
        file = Path(place).stat()
    except (OSError, ValueError):
        return str(Path(place).absolute())
    return file.st_dev, file.st_ino


def groups() -> dict[str, Any]:
    """The groups of stores in the settings, by their names.

    Raises:
        UsageError: the settings cannot be read.
    """
    file = settings_file()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("groups", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the groups of stores from {file}: {error}") from None
    return tables if isinstance(tables, dict) else {}


def _group(name: str) -> list[tuple[str | None, str]]:
    file, known = settings_file(), groups()
    if name not in known:
        names = ", ".join(f"@{each}" for each in known) or "none"
        raise UsageError(f"there is no group @{name} under [groups] in {file}; there are: {names}")
    return _places_of(name, known[name], file)


def _places_of(group: str, stores: Any, file: Path) -> list[tuple[str | None, str]]:
    named: list[Any] = list(stores.items()) if isinstance(stores, dict) else []
    if isinstance(stores, list):
        named = [(None, place) for place in stores]
    if not named or not all(isinstance(place, str) and place and not place.startswith("@") for _, place in named):
        raise UsageError(
            f"the group @{group} in {file} must be a list of places, or a table of names and places, "
            'such as {shop = "/srv/shop.db"}; it cannot name another group'
        )
    return [(name, place if is_url(place) else str(file.parent / Path(place).expanduser())) for name, place in named]


def _names(named: list[tuple[str | None, str]]) -> list[str]:
    """A name for each: the given one, else the shortest that the place suggests and no other has."""
    suggested = [[_named(name)] if name else _suggestions(place) for name, place in named]
    names = [suggestions[0] for suggestions in suggested]
    for name in [name for name, count in Counter(names).items() if count > 1]:
        alike = [number for number, own in enumerate(names) if own == name]
        for longer in zip(*(suggested[number] for number in alike), strict=False):
            if len(set(longer)) == len(alike):
                for number, own in zip(alike, longer, strict=True):
                    names[number] = own
                break
    taken: Counter[str] = Counter()
    distinct = []
    for name in names:
        taken[name] += 1
        distinct.append(name if taken[name] == 1 else f"{name}-{taken[name]}")
    return distinct


def _suggestions(place: str) -> list[str]:
    """Names for a place, shortest first."""
    if not is_url(place):
        path = Path(place).absolute()
        stem = _named(path.stem)
        return [stem, f"{_named(path.parent.name)}-{stem}"]
    parts = urlsplit(shown_place(place))
    host = _named(parts.hostname or "")
    if place.startswith(SSH):
        return [host, f"{host}-{_named(Path(parts.path).stem)}"]
    schema = parse_qs(parts.query).get("schema", [""])[0]
    database = _named(parts.path.strip("/") or "postgresql")
    short = _named(schema) if schema and schema != "failaware" else database
    return [short, f"{database}-{short}", f"{host}-{database}-{short}"]


def _named(text: str) -> str:
    return _ODD.sub("-", text).strip("-") or "store"
