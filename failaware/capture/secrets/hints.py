"""Whether a text may contain a secret at all: most do not, and are not searched further.

A secret is recognized by its name or by its format. Every text with such a secret contains one of the words below.
Where such a word is only a part of an ordinary word, as in `inside` or `author`, it is no hint.
"""

import re
from collections.abc import Set as AbstractSet
from functools import lru_cache

from failaware.capture.secrets.formats import HINTS as FORMAT_HINTS
from failaware.capture.secrets.formats import HINTS_WITH as FORMAT_HINTS_WITH
from failaware.capture.secrets.named_values import ANNOUNCING_ANYWHERE
from failaware.capture.secrets.names import SECRETS, UNMISTAKABLE, is_secret_list_name, is_secret_name
from failaware.capture.secrets.words import words_in

_LETTERS = (  # within one word
    *("pass", "secret", "auth", "cred", "otp", "phrase", "sid", "card", "session", "psk", "token", "cookie", "key"),
    *("pw", "jwt", "kennwort", "woord", "cvc", "cvv", "senha", "contrasen", "code", "mnemonic", "bearer", "heslo"),
    *("haslo", "losenord", "parola", "matkhau", "sifre", "salasana", "jelszo"),
)
_CERTAIN = frozenset(
    ('pin"', "pin:", "pin=", "?code", "&code", "ccnumber", "cc_number", "cc-number", "cc number", *FORMAT_HINTS)
)
HINTS = frozenset((*_LETTERS, *_CERTAIN, *FORMAT_HINTS_WITH))
"""Every ASCII text with a secret contains one of these, in lower case.

Tokens, card numbers and arguments of commands are found without them.
"""

_ORDINARY = frozenset(
    """
    author authors authored authoring authority authorities authentic authenticity
    side sides inside outside aside reside resides resident residents residence residential residual
    residue subside subsidy subsidiary president presidents presidential consider considers considered considering
    consideration considerable considerably upside downside wayside seaside riverside roadside offside onside
    preside dissident insider outsider sidebar sidewalk siding sidecar sideways alongside hillside ringside bedside
    passenger passengers passage passages passed passes passing passive passively passion passport passports
    compass encompass encompasses bypass bypassed bypasses surpass surpassed trespass overpass underpass
    keyboard keyboards keyed keynote keystone keystroke keyhole keyring turkey turkeys monkey monkeys donkey donkeys
    hockey jockey whiskey turnkey
    cards cardboard cardiac cardinal cardinality cardio cardigan discard discards discarded discarding scorecard
    wildcard wildcards postcard postcards cardholder
    sessions possession possessions obsession
    credit credits credited crediting creditor creditors accredited incredible incredibly sacred credible credibility
    hotpot footpath footprint footpad
    cookies
    postcode postcodes zipcode zipcodes barcode barcodes unicode decode decoded decoder decodes encode encoded
    encoder encodes codec codecs codepage qrcode geocode geocoded opcode shortcode transcode
    transcoded countrycode
    """.split()  # noqa: SIM905
)
"""Words that contain some of these letters, but are no part of the name of a secret, with any word next to them."""

_ONLY_LETTERS = bytes(byte if chr(byte).isascii() and chr(byte).islower() else 32 for byte in range(256))
_ONLY_NAMES = bytes(
    byte if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "_-.") else 32 for byte in range(256)
)
_COUNTED = re.compile(
    r"[a-z]{1,20}(?:_[a-z]{1,20}){0,4}_(?:counts?|limits?|usage|used|length|size|type|price|cost|budget|total|tokens)"
)
"""A name of a number, such as `token_count` or `prompt_tokens`."""
_MAX_HARMLESS = 8_192
_harmless: set[str] = set()
"""Words that were looked at and are no hints."""


def _neighbors(word: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How the words end that make this word the name of a secret before it, and how those after it begin."""
    before, after = set[str](), set[str]()
    for name in (*SECRETS, *UNMISTAKABLE):
        if word in name:
            left, _, right = name.partition(word)
            before.add(left[-3:].lstrip("0123456789"))
            after.add("" if right == "s" else right[:3])
    return tuple(filter(None, before)), tuple(filter(None, after))


_NEIGHBORS = {word: _neighbors(word) for word in ("key", "session", "code", "card")}
"""Words that are hints only next to others, in one word with them or not: `key` in `api_key`, not in `primary_key`."""

_next_to_each_other = words_in(
    f"{left}{word}{right}"
    for word, (before, after) in _NEIGHBORS.items()
    for left, right in (
        *((left, "") for left in before),
        *(("", plural + right) for plural in ("", "s") for right in after),
    )
)
"""Finds these words next to their neighbors, in a text without the characters between its letters."""

_AT = [(start, re.compile(rf"{start}[^\s\"'<>]{{1,1100}}@")) for start in ("//", "thin:")]
"""What is before an @ in a URL or an address with a password, in one row. Each begins as it is searched fastest."""


def is_hinted(text: str, lower: str, words: AbstractSet[str]) -> bool:
    """Whether the text contains a hint of a secret.

    Args:
        text: any text.
        lower: the same in lower case.
        words: those of HINTS that it contains.
    """
    if words and not words.isdisjoint(HINTS):
        if not words.isdisjoint(_CERTAIN):
            return True
        names = words & _NAMES
        if names and _has_name(text, lower, names):
            return True
        if any(_has_partner(lower, word) for word in words if word in FORMAT_HINTS_WITH):
            return True
    return not text.isascii() and ANNOUNCING_ANYWHERE.search(lower) is not None


_NAMES = frozenset(_LETTERS)


def _has_partner(lower: str, word: str) -> bool:
    if word == "@":
        return any(start in lower and pattern.search(lower) for start, pattern in _AT)
    return any(map(lower.__contains__, FORMAT_HINTS_WITH[word]))


def _has_name(text: str, lower: str, words: AbstractSet[str]) -> bool:
    """Whether one of these words may be a part of the name of a secret."""
    if not text.isascii():
        return True
    letters = lower.encode().translate(_ONLY_LETTERS).decode().split()
    if not words.isdisjoint(_NEIGHBORS) and _next_to_each_other("".join(letters)):
        return True
    if words <= _NEIGHBORS.keys():
        return False
    new = set(letters) - _harmless
    hints = set(filter(_is_hint, new))
    if hints and not _are_counted(text, hints):
        return True
    if len(_harmless) > _MAX_HARMLESS:
        _harmless.clear()
    _harmless.update(new - hints)
    return False


def _are_counted(text: str, hints: set[str]) -> bool:
    """Whether each name with one of these words is that of a number; the letter of an escape would belong to a name."""
    if "\\" in text:
        return False
    names = set(text.encode().translate(_ONLY_NAMES).decode().split())
    return all(_is_counted(name) for name in names for hint in hints if hint in name or hint in name.lower())


@lru_cache(maxsize=1_024)
def _is_counted(name: str) -> bool:
    return _COUNTED.fullmatch(name) is not None and not is_secret_name(name) and not is_secret_list_name(name)


@lru_cache(maxsize=1_024)
def _is_hint(word: str) -> bool:
    return word not in _ORDINARY and any(part in word for part in _LETTERS if part not in _NEIGHBORS)
