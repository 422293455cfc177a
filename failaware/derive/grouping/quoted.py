"""Quoted texts: names are kept, values are masked; their form and the words around them decide."""

import re

from failaware.derive.grouping import templating, words

ANY_PLACEHOLDER = re.compile(templating.PLACEHOLDER)
"""The placeholder of a variable part in a template."""
HIDDEN = {ord(digit): chr(0x10080 + int(digit)) for digit in "0123456789"}
"""Digits of recognized names are replaced by unused letters while other masks run, which would mask them as numbers."""
SHOWN = {ord(letter): chr(digit) for digit, letter in HIDDEN.items()}
_ARGUMENT = frozenset(("argument", "arguments"))
_DIGIT = re.compile(r"\d")
_TWO_TEXTS = 4  # quotes of one kind around them
_MOST_TEXTS = 50  # that are compared with each other
_TUPLE_CODE = re.compile(r"\(\d{3,5}, $")
_QUOTES = str.maketrans("‘’‚“”„«»│╷╵", '\'\'\'"""""|||')


def plain_quotes(text: str) -> str:
    """The text with one kind of quotes: ‘a’ and `a' are 'a'."""
    if not text.isascii():
        text = text.translate(_QUOTES)  # also the lines of boxes around echoed sources
    return words.GNU_QUOTED.sub(r"'\1'", text) if "`" in text else text


def texts_masked(text: str) -> str:
    """The text with its quoted values masked. A text that is a value at one place is a value at all places."""
    if max(map(text.count, "'\"`")) < _TWO_TEXTS:
        return words.QUOTED.sub(masked, text)
    texts: list[tuple[str, str]] = []

    def mask(match: re.Match[str]) -> str:
        result = masked(match)
        texts.append((match["value"], result[1:-1]))
        return result

    result = words.QUOTED.sub(mask, text)
    if len(texts) > _MOST_TEXTS:
        return result
    values = {value for value, shown in texts if shown == "<text>" and value}
    if all(value not in values or shown == "<text>" for value, shown in texts):
        return result
    return words.QUOTED.sub(lambda m: f"{m['q']}<text>{m['q']}" if m["value"] in values else m[0], result)


def masked(match: re.Match[str]) -> str:
    """Keep a quoted name (column 'abc'), mask a quoted value (got 'abc'); its form and the words around it decide."""
    value, quote, text = match["value"], match["q"], match.string
    if value[:1] == "<" and ANY_PLACEHOLDER.fullmatch(value):
        return f"{quote}{value}{quote}"
    before = text[max(0, match.start() - 30) : match.start()]
    cue, between = cue_before(before)
    after = text[match.end() : match.end() + 40]
    if (cue == "argument" and words.VALUE_AFTER.match(after)) or (cue == "format" and ":" in between):
        cue = "value"
    if _is_message(value, cue, between, before):
        return f"{quote}{words.QUOTED.sub(masked, value)}{quote}"
    if ("." in value and words.SOURCE_FILE.fullmatch(value)) or (value[:1] == "-" and words.OPTION.fullmatch(value)):
        return match[0]
    alone = len(match[0]) == len(text)
    if (
        (value[:1].isdigit() and words.STATUS_LINE.fullmatch(value))
        or (cue in words.SCHEMA_CUES and words.SCHEMA_NAME.fullmatch(value))
        or (alone and words.KEY_NAME.fullmatch(value))
    ):
        return match[0].translate(HIDDEN)
    if before[-1:] not in {"b", "@"} and _is_name(value, cue, between, after):
        return match[0]
    return f"{quote}<text>{quote}"


def cue_before(before: str) -> tuple[str, str]:
    """The last word before a value, in the singular, and the text between them."""
    bare = before.rstrip(" :=#([-'\"`")
    last = bare.removesuffix("(s)").rsplit(None, 1)[-1:]
    word = last[0].lower() if last else ""
    word = word[max(word.rfind("("), word.rfind("["), word.rfind("{")) + 1 :].lstrip("'\"`")
    if word in _ARGUMENT and words.ENTERED_ARGUMENT.search(bare):
        word = "value"
    elif word == "found" and bare.endswith("key not found"):
        word = "key"
    elif word == "name" and (noun := bare.rsplit(None, 2)[-2:-1]) and noun[0].lower() in words.NAMED_VALUES:
        word = noun[0].lower()
    return word, before[len(bare) :]


def _is_message(value: str, cue: str, between: str, before: str) -> bool:
    """Whether the quoted text is itself a message, by the text before it or by its words."""
    if words.REQUEST_LINE.match(value) or before.endswith("panicked at "):
        return True
    if before.endswith(("(", ", ", "[")) and words.SENTENCE.match(value):
        return True
    if between.endswith("("):
        return between == "(" and (not cue or before[-2:-1].isalnum())
    if before.endswith(", "):
        return _TUPLE_CODE.search(before) is not None
    if before.endswith(": ["):
        return " " in value
    return cue.rstrip("s") in words.MESSAGE_CUES and (":" in between or "=" in between)


def _is_name(value: str, cue: str, between: str, after: str) -> bool:
    named = cue in words.NAME_CUES or cue.removesuffix("s") in words.NAME_CUES or between == "["
    is_host = not named and "." in value and words.HOST.fullmatch(value)
    if is_host or not words.SIMPLE_NAME.fullmatch(value) or _is_entered(value, cue, between, after):
        return False
    if len(value) == 1 and value.isalnum():
        return named and ":" not in between
    if words.TYPE_NAME.fullmatch(value) or words.KEEP_WORD.fullmatch(value):
        return True
    if _DIGIT.search(value):
        return named and (words.NUMBERED_NAME.fullmatch(value) is not None or value.isupper())
    if words.CLAIM_AFTER.match(after):
        return cue not in words.VALUE_CUES
    return named or words.NAME_AFTER.match(after) is not None or _may_be_name(value, cue, between, after)


def _may_be_name(value: str, cue: str, between: str, after: str) -> bool:
    """Whether nothing around a text speaks of a value."""
    if "/" in value or "\\" in value or words.VALUE_AFTER.match(after):
        return not value.isalnum() and len(value) == 1
    if between == "=" and cue not in words.IDENTITY_KEYS:
        return False
    return cue not in words.VALUE_CUES and not (cue and ":" in between and not cue.endswith("error"))


def _is_entered(value: str, cue: str, between: str, after: str) -> bool:
    """Whether `null` or `-` is what somebody entered rather than a type or an operator, as in `got 'null'`."""
    if value.lower() not in words.NULLS:
        return False
    entered = cue in words.VALUE_CUES and cue not in words.TYPE_CUES
    return entered or ":" in between or words.VALUE_AFTER.match(after) is not None
