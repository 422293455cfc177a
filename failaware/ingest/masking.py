"""Secrets replaced by `[masked]` before they reach a log that never forgets.

Two ways to tell a secret: it stands under a name that says so (`KEYS`), or it has the shape of one (`SHAPES`). What
cannot be told either way is kept: this is a safety net, not a promise.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MASK = "[masked]"

KEYS = frozenset(
    [
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "userpassword",
        "dbpassword",
        "secret",
        "secretkey",
        "clientsecret",
        "appsecret",
        "sharedsecret",
        "token",
        "accesstoken",
        "refreshtoken",
        "idtoken",
        "authtoken",
        "bearertoken",
        "sessiontoken",
        "apitoken",
        "csrftoken",
        "xsrftoken",
        "securitytoken",
        "apikey",
        "xapikey",
        "apisecret",
        "accesskey",
        "secretaccesskey",
        "accesskeyid",
        "awssecretaccesskey",
        "privatekey",
        "signingkey",
        "encryptionkey",
        "authorization",
        "proxyauthorization",
        "auth",
        "cookie",
        "setcookie",
        "credential",
        "credentials",
        "sessionid",
        "sid",
        "jwt",
        "cardnumber",
        "creditcard",
        "ccnumber",
        "cvv",
        "cvc",
        "otp",
    ]
)
"""Names of secrets, in lower case and without separators: `client_secret`, `clientSecret`, `Client-Secret` are one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a secret looks like; the group named `keep`, if there is one, stands before it and is kept."""

    name: str
    pattern: str


SHAPES = (
    Shape("private key", r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----[^-]{0,16384}(?:-----END [A-Z ]{0,40}KEY-----)?"),
    Shape(
        "password in a URL", r"(?P<keep{n}>\b[a-zA-Z][a-zA-Z0-9+.-]{{0,30}}://[^\s:/@]{{0,256}}:)[^\s/@]{{1,256}}(?=@)"
    ),
    Shape("authorization", r"(?P<keep{n}>\b(?:[Bb]earer|[Bb]asic) )[A-Za-z0-9+/=._~-]{{8,}}"),
    Shape("JSON web token", r"\beyJ[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]{{8,}}(?:\.[A-Za-z0-9_-]*)?"),
    Shape("AWS key id", r"\b(?:AKIA|ASIA)[A-Z0-9]{{16}}\b"),
    Shape("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{{30,}}|github_pat_[A-Za-z0-9_]{{30,}})"),
    Shape("GitLab token", r"\bglpat-[A-Za-z0-9_-]{{20,}}"),
    Shape("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{{10,}}"),
    Shape("Stripe key", r"\b[rsp]k_(?:live|test)_[A-Za-z0-9]{{16,}}"),
    Shape("Google key", r"\bAIza[A-Za-z0-9_-]{{35}}"),
    Shape("OpenAI-like key", r"\bsk-(?:[a-z]{{2,12}}-)*[A-Za-z0-9_]{{20,}}"),
    Shape(
        "named in text",
        r"(?i:(?P<keep{n}>\b(?:[a-z]{{1,30}}[_-]){{0,4}}(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key)"
        r"[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?))(?!\[masked)[^\s\"'&,;)}}\]]{{3,}}",
    ),
)
"""Shapes of secrets in running text; all are linear."""

_HINTS = (
    *(
        "://",
        "bearer ",
        "basic ",
        "eyj",
        "akia",
        "asia",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat",
        "glpat-",
    ),
    *("xox", "k_live", "k_test", "aiza", "sk-", "-----begin", "pass", "pwd", "secret", "token", "key"),
)
"""One of these is in every text with a shape; looking for them is twenty times cheaper than for the shapes."""
_MANY_DIGITS = re.compile(r"\d(?:[ -]?\d){12}")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")
_SEPARATORS = re.compile(r"[\s_.-]")


def _compiled() -> re.Pattern[str]:
    parts = []
    for number, shape in enumerate(SHAPES):
        pattern = shape.pattern.format(n=number) if "{n}" in shape.pattern or "{{" in shape.pattern else shape.pattern
        parts.append(f"(?:{pattern})")
    return re.compile("|".join(parts))


_SHAPE = _compiled()


class Masker:
    """Masks the payloads, messages and tracebacks of one store.

    Args:
        extra_keys: names of secrets besides `KEYS`; case and separators do not matter.
        enabled: False leaves everything as it is.
    """

    def __init__(self, extra_keys: Iterable[str] = (), *, enabled: bool = True) -> None:
        self._keys = KEYS | {_plain(key) for key in extra_keys}
        self._enabled = enabled

    def mask_text(self, text: str) -> tuple[str, int]:
        """The text without its secrets, and how many there were."""
        if not self._enabled:
            return text, 0
        hits = cards = 0
        lower = text.lower()
        if any(hint in lower for hint in _HINTS):
            text, hits = _SHAPE.subn(_masked, text)
        if not _MANY_DIGITS.search(text):
            return text, hits

        def card(match: re.Match[str]) -> str:
            nonlocal cards
            if not _luhn(match[0]):
                return match[0]
            cards += 1
            return MASK

        return _CARD.sub(card, text), hits + cards

    def mask_value(self, value: Any) -> tuple[Any, int]:
        """The decoded JSON value without its secrets, and how many there were; the same object when there were none.

        Works to any depth without recursion; dicts and lists that hold a secret are copied, the caller's stay as
        they are.
        """
        if not self._enabled:
            return value, 0
        if isinstance(value, str):
            return self.mask_text(value)
        if not isinstance(value, dict | list | tuple) or not self._count(value):
            return value, 0
        return self._copy(value)

    def _count(self, value: Any) -> int:
        """How many secrets there are; most values have none, so that nothing need be copied."""
        found, waiting, seen = 0, [value], 0
        while waiting:
            item = waiting.pop()
            seen += 1
            if seen > 5_000_000:
                break  # a value that holds itself; writing it as JSON will say so
            if isinstance(item, str):
                found += self.mask_text(item)[1]
            elif isinstance(item, dict):
                for name, inner in item.items():
                    if self._is_secret(name, inner):
                        found += 1
                    else:
                        waiting.append(inner)
            elif isinstance(item, list | tuple):
                waiting.extend(item)
        return found

    def _copy(self, value: Any) -> tuple[Any, int]:
        root: list[Any] = [value]
        hits = 0
        waiting: list[tuple[Any, Any, Any]] = [(root, 0, value)]
        while waiting:
            holder, place, item = waiting.pop()
            if isinstance(item, str):
                holder[place], found = self.mask_text(item)
                hits += found
            elif isinstance(item, dict):
                copy = holder[place] = dict(item)
                for name, inner in item.items():
                    if self._is_secret(name, inner):
                        copy[name] = MASK
                        hits += 1
                    else:
                        waiting.append((copy, name, inner))
            elif isinstance(item, list | tuple):
                items = holder[place] = list(item)
                waiting.extend((items, number, inner) for number, inner in enumerate(item))
        return root[0], hits

    def _is_secret(self, name: object, value: Any) -> bool:
        """A name that says secret, with a value that can be one: not a flag, a count or nothing at all."""
        if not isinstance(name, str) or _plain(name) not in self._keys or value == MASK:
            return False
        if isinstance(value, bool | float) or value is None or value in ("", [], {}):
            return False
        return not isinstance(value, int) or abs(value) >= 100


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()


def _masked(match: re.Match[str]) -> str:
    kept = next((text for name, text in match.groupdict().items() if text is not None), "")
    return kept + MASK


def _luhn(text: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1)."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(set(digits)) == 1:
        return False
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(odd) + sum(sum(divmod(2 * digit, 10)) for digit in even)) % 10 == 0
