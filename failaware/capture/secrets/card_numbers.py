"""Recognizes card numbers by the issuer's length, the grouping of the digits and the check digit."""

import re
from collections.abc import Iterator

_LENGTHS = (
    r"4\d{15}(?:\d{3})?",  # Visa
    r"5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}",  # Mastercard
    r"3[47]\d{13}",  # American Express
    r"3(?:0[0-5]|[68]\d)\d{11}",  # Diners Club
    r"6(?:011|4[4-9]\d|5\d\d)\d{12}",  # Discover
    r"35(?:2[89]|[3-8]\d)\d{12}",  # JCB
    r"62\d{14,17}",  # UnionPay
)
_GROUPED = re.compile(
    r"(?:\d{13,19}|\d{4}(?:([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|([ -])\d{6}\2\d{4,5}))(?![\w-]|\.\d)"
)
_INSIDE_TOKEN = re.compile(
    r".*(?:[\w.+/-]|\+\d\d )", re.DOTALL
)  # what is before the digits; +49 begins a telephone number
_ISSUED = re.compile("|".join(_LENGTHS))
_DIGITS = bytes(ord("0") if 48 <= byte < 58 else ord("-") if byte in b" -" else ord(".") for byte in range(256))
"""Translates every digit to 0, every separator to a dash, and everything else to a dot."""


def has_many_digits(latin: bytes) -> bool:
    """Whether a text, in Latin-1, has as many digits in a row as a card number, or two groups of four and more."""
    digits = latin.translate(_DIGITS)
    return b"0000000000000" in digits or b"0000-0000" in digits


def card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Yield where card numbers begin and end."""
    for match in _GROUPED.finditer(text):
        if _INSIDE_TOKEN.fullmatch(text, max(0, match.start() - 4), match.start()):
            continue
        digits = match[0].replace(" ", "").replace("-", "")
        if digits.isascii() and _ISSUED.fullmatch(digits) and _luhn(digits):
            yield match.span()


def _luhn(text: str) -> bool:
    """Check the check digit of a card number (ISO/IEC 7812-1)."""
    digits = [int(character) for character in text]
    if len(set(digits)) == 1:
        return False
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(odd) + sum(sum(divmod(2 * digit, 10)) for digit in even)) % 10 == 0
