"""Where a store on PostgreSQL is: a URL as libpq takes it, and in it the schema that the store has for itself."""

import re
from typing import NamedTuple
from urllib.parse import unquote

from failaware.errors import UsageError
from failaware.text import shown_place

SCHEMA = "failaware"
"""The store's schema, where the URL names none."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_RESERVED = "pg_"
_ENCODE = "there is something in the password that must be percent-encoded"
_SECRET = re.compile(r"\b(?:ssl)?password=([^&]*(?:&[^=&]*(?=&|$))*)|://[^:@/?#]*:([^@]*)@")


class Place(NamedTuple):
    """A store's place: what libpq connects to, the store's schema, and how it is shown (without a password)."""

    conninfo: str
    schema: str
    shown: str


def parse(url: str) -> Place:
    """Read a URL: postgresql://user@host/database?schema=NAME and whatever else libpq knows.

    Raises:
        UsageError: it is none.
    """
    from psycopg.conninfo import make_conninfo

    shown = shown_place(url)
    try:
        unquote(url, errors="strict").encode()
    except UnicodeError:
        raise UsageError(f"{shown} is no URL of PostgreSQL: it is no UTF-8") from None
    if "\0" in url:
        raise UsageError(f"{shown} is no URL of PostgreSQL: there is a NUL in it")
    if _is_ambiguous(url):
        raise UsageError(f"{shown} is no URL of PostgreSQL: {_ENCODE}")
    plain, schema = _without_schema(url)
    _check_schema(schema)
    settings = _settings(plain, shown)
    settings["client_encoding"] = "UTF8"
    settings.setdefault("application_name", "failaware")
    settings.setdefault("connect_timeout", "10")
    if not re.fullmatch(r"\s*-?\d{1,9}\s*", settings["connect_timeout"]):
        raise UsageError(f"{shown} is no URL of PostgreSQL: connect_timeout is a number of seconds")
    return Place(make_conninfo("", **settings), schema, shown)


def _is_ambiguous(url: str) -> bool:
    """Whether a character of the password may have been taken for the end of the host, the user or the database."""
    before, _, query = url.partition("://")[2].partition("?")
    authority, _, path = before.partition("/")
    return (
        authority.count("@") > 1
        or "#" in before
        or ("@" in path and "@" not in authority)
        or "@" in query.partition("&")[0].partition("=")[0]
    )


def _without_schema(url: str) -> tuple[str, str]:
    """The URL as libpq knows it, and the schema that it names."""
    plain, _, query = url.partition("?")
    schema, others = SCHEMA, []
    for setting in query.split("&") if query else ():
        name, mark, value = setting.partition("=")
        if unquote(name) == "schema":
            schema = unquote(value)
        else:
            others.append(name + mark + value.replace(" ", "%20").replace("=", "%3D"))  # libpq wants them so
    return f"{plain}?{'&'.join(others)}" if others else plain, schema


def _check_schema(schema: str) -> None:
    if not _NAME.fullmatch(schema):
        raise UsageError(f"a store's schema is a-z, 0-9 and _, not '{schema[:64]}'")
    if schema.startswith(_RESERVED):
        raise UsageError(f"a store's schema cannot be '{schema}': PostgreSQL keeps names with pg_ for itself")


def _settings(url: str, shown: str) -> dict[str, str]:
    """The URL's settings as libpq reads them."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError as error:
        why = " ".join(str(error).split())
        if shown != url and any(unquote(part) in why or part in why for part in _secrets(url)):
            why = _ENCODE
        raise UsageError(f"{shown} is no URL of PostgreSQL: {why}") from None


def _secrets(url: str) -> list[str]:
    """The passwords in a URL, as they are written; a short one may hide more of an error than it has to."""
    found = [group for match in _SECRET.finditer(url) for group in match.groups() if group]
    return [part for text in found for part in (text, *text.split("&")) if part]
