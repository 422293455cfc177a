"""Where a store on PostgreSQL is: a URL as libpq takes it, and in it the schema that the store has for itself."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from failaware.errors import UsageError
from failaware.text import shown_place

SCHEMA = "failaware"
"""The store's schema, where the URL names none."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


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
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    shown = shown_place(url)
    try:
        unquote(url, errors="strict").encode()
        parts = urlsplit(url)
        secret = parts.password
    except UnicodeError:
        raise UsageError(f"{shown} is no URL of PostgreSQL: it is no UTF-8") from None
    except ValueError as error:
        raise UsageError(f"{shown} is no URL of PostgreSQL: {error}") from None
    if "\0" in url:
        raise UsageError(f"{shown} is no URL of PostgreSQL: there is a NUL in it")
    given = parse_qsl(parts.query, keep_blank_values=True)
    secret = secret or dict(given).get("password")
    schema = dict(given).get("schema", SCHEMA)
    if not _NAME.fullmatch(schema):
        raise UsageError(f"a store's schema is a-z, 0-9 and _, not '{schema[:64]}'")
    rest = urlencode([(name, value) for name, value in given if name != "schema"], quote_via=quote)
    try:
        settings = conninfo_to_dict(urlunsplit(parts._replace(query=rest)))
    except ProgrammingError as error:
        why = " ".join(str(error).split())
        if shown != url and (not secret or secret in why or unquote(secret) in why):
            why = "there is something in the password that must be percent-encoded"
        raise UsageError(f"{shown} is no URL of PostgreSQL: {why}") from None
    settings.setdefault("application_name", "failaware")
    settings.setdefault("connect_timeout", "10")
    return Place(make_conninfo("", **settings), schema, shown)
