"""The location of a store on PostgreSQL: a libpq URL, extended with the name of the store's schema."""

import re
from typing import NamedTuple
from urllib.parse import unquote

from failaware.errors import UsageError
from failaware.text import shown_place

SCHEMA = "failaware"
"""The store's schema if the URL does not name one."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_RESERVED = "pg_"
_ENCODE = "there is something in the password that must be percent-encoded"
_SECRET = re.compile(r"\b(?:ssl)?password=([^&]*(?:&[^=&]*(?=&|$))*)|://[^:@/?#]*:([^@]*)@")


class Place(NamedTuple):
    """A store's location: libpq's connection string, the store's schema, and the URL for display (no password)."""

    conninfo: str
    schema: str
    shown: str


def parse(url: str) -> Place:
    """Parse a URL: postgresql://user@host/database?schema=NAME, with any other libpq parameters.

    Raises:
        UsageError: it is not a valid URL.
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
    """Return whether a character of the password may have been parsed as a delimiter of the URL."""
    before, _, query = url.partition("://")[2].partition("?")
    authority, _, path = before.partition("/")
    return (
        authority.count("@") > 1
        or "#" in before
        or ("@" in path and "@" not in authority)
        or "@" in query.partition("&")[0].partition("=")[0]
    )


def _without_schema(url: str) -> tuple[str, str]:
    """The URL without our schema parameter, and the schema."""
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
    """The URL's settings as libpq parses them."""
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
    """The passwords in a URL, as written; a short password may hide more of an error message than necessary."""
    passwords = [group for match in _SECRET.finditer(url) for group in match.groups() if group]
    return [part for password in passwords for part in (password, *password.split("&")) if part]
