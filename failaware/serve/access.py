"""Who may write: a key where one is set, no web page unless it is named, and no name that leads here by a trick.

A web page can send requests to any address that its visitor's machine reaches. Browsers say so in the header Origin. A
page can also make a name of its own lead to 127.0.0.1 (DNS rebinding); its requests have that name in Host.
"""

import hmac
from collections.abc import Mapping
from typing import NamedTuple

from failaware.serve.envelope import header, key_of_dsn
from failaware.serve.refusal import Refusal

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Access(NamedTuple):
    """What a request needs.

    `key`: the key that a request must have; empty: none. `hosts`: names in Host, without a port; empty: any.
    `origins`: web pages that may write, such as https://shop.example.
    """

    key: str
    hosts: frozenset[str]
    origins: frozenset[str]

    def check(self, headers: Mapping[str, str]) -> None:
        """Check where a request comes from.

        Raises:
            Refusal: it may come from a web page that was not named, or was sent to another name.
        """
        host = _without_port(headers.get("host", ""))
        if self.hosts and host not in self.hosts:
            raise Refusal(403, f"this receiver is not {host[:100]!r}; name it with --allow-host if it is")
        origin = headers.get("origin")
        if origin is not None and origin not in self.origins:
            raise Refusal(403, f"the web page {origin[:100]!r} may not write here; --allow-origin allows it")

    def check_key(self, headers: Mapping[str, str], query: Mapping[str, str], envelope: bytes | None = None) -> None:
        """Check the key of a request; `envelope` is the body, if that may have it.

        Raises:
            Refusal: it has none, or another.
        """
        if not self.key:
            return
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        bearer = credentials.strip() if scheme.lower() == "bearer" else ""
        sentry = headers.get("x-sentry-auth") or headers.get("authorization", "")
        if any(map(self._is_key, (bearer, headers.get("x-failaware-key", ""), _sentry_key(sentry, query)))):
            return
        if envelope is not None and self._is_key(key_of_dsn(header(envelope).get("dsn"))):
            return
        raise Refusal(
            401,
            "a key is needed: in the DSN, as 'Authorization: Bearer KEY', or as 'X-Failaware-Key: KEY'",
        )

    def _is_key(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.key.encode())


def allowed_hosts(listens_on: str, more: list[str], *, is_loopback: bool) -> frozenset[str]:
    """Return the names that Host may have: on loopback its names; beyond it any, because a key is needed there."""
    if is_loopback:
        return _LOOPBACK | {_bracketed(listens_on)} | set(more)
    return frozenset({*more, *_LOOPBACK, _bracketed(listens_on)}) if more else frozenset()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()


def _sentry_key(header: str, query: Mapping[str, str]) -> str:
    """The key of `X-Sentry-Auth: Sentry sentry_version=7, sentry_key=…`, or of the query."""
    fields = (field.strip().partition("=") for field in header.removeprefix("Sentry").split(","))
    return next((value for name, _, value in fields if name == "sentry_key"), query.get("sentry_key", ""))
