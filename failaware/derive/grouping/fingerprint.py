"""The fingerprint of a failure: its message with the variable parts masked (the template), and the cluster's id.

A pure function of event type, error type and message, without state: the same failure gets the same cluster in every
process, for one FINGERPRINT_VERSION. A message and its template:

    HTTPConnectionPool(host='db7.example.org', port=5432): timed out after 3.2 s for user 'ann' (attempt 2 of 5)
    HTTPConnectionPool(host='<text>', port=<value>): timed out after <duration> for user '<text>' (attempt <n> of <n>)
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

from failaware.derive.grouping import library_masks, quoted, templating, words
from failaware.derive.grouping.bodies import reduced_bodies

_MAX_MESSAGE = 2_000  # characters: the two ends of a longer message are used
_MAX_LINES = 12
_MAX_ROUNDS = 4
_NO_MESSAGE = "(no message)"
_GAP = " … "
_END = (_MAX_MESSAGE - len(_GAP)) // 2

_DIGIT = re.compile(r"\d")
_KEY_VALUE = re.compile(
    r"(?<![\w.=-])(?P<key>[A-Za-z_][\w.-]{0,60}+)=(?P<value>(?!['\"`=(\[{<])[^\s,;)\]}{'\"]++(?:\{[^{}\s]{0,80}+\})?|(?!\S))"
)
_EMPTY_KEY = re.compile(r"[a-z][a-z_.]{0,20}")
_WORD = re.compile(r"\b(?=[^\W\d]*+(?:[-.][^\W\d]*+){0,12}+\d)\w++(?:[-.+]\w++)*+(?:/\d++(?!\w))*+")
_LONG_HEX = re.compile(r"(?=.*[a-f])[0-9a-f]{8,}")
_HEX = re.compile(r"(?=.*\d)[0-9a-fA-F]{7,}")
_PLAIN = re.compile(r"(?:\(?(?:[A-Za-z]++(?:-[A-Za-z]++)*+|\d{1,7}+)\)?[.,:;!?]?(?: |\Z))++")
_MAX_PLAIN = 500  # characters
_THREE_DIGITS = re.compile(r"\b\d{3}\b")
_ANY_DIGIT = dict.fromkeys(map(ord, "0123456789"), "_")
_MAX_SHAPES = 4_096
_of_shape: dict[str, str] = {}
_BLANKS = re.compile(r"[ \t\r\f\v\xa0]{2,}|[\t\r\f\v\xa0]")


_Step = tuple[str, Callable[[str], object] | None, Callable[[str, str], str], str]


class _Stage(NamedTuple):
    """A stage of masking: a function of a text, named for people; `masks` are its single rules, if it has several."""

    name: str
    run: Callable[[str], str]
    masks: tuple[templating.Mask, ...] = ()


def template(message: str | None, error_type: str | None = None) -> str:
    """The message with its variable parts masked, such as `took <duration>`; without a message, the error type.

    Masking is repeated until nothing changes: a template is its own template.
    """
    return _fixpoint(_values_masked(message)) if message and message.strip() else error_type or _NO_MESSAGE


@lru_cache(maxsize=4_096)
def cluster_id(event_type: str, error_type: str | None, template: str) -> int:
    """The id of a cluster, from 1 to 2^63 - 1, the same on every machine.

    All placeholders are equal: a UUID in one failure and a number in the next give the same cluster.
    """
    identity = "\x00".join((event_type, error_type or "", quoted.ANY_PLACEHOLDER.sub("<*>", template)))
    digest = hashlib.sha256(identity.encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1


@lru_cache(maxsize=8_192)
def fingerprint(event_type: str, error_type: str | None, message: str | None) -> tuple[int, str]:
    """The cluster's id and its template."""
    name = template(message, error_type)
    return cluster_id(event_type, error_type, name), name


@lru_cache(maxsize=4_096)
def _fixpoint(text: str) -> str:
    """Mask the text until nothing changes; cached, because many messages have few templates.

    A text that keeps changing, which no real message does, becomes `<text>`.
    """
    for _ in range(_MAX_ROUNDS):
        again = _masked(text)
        if again == text:
            return text
        text = again
    return "<text>"


def _values_masked(message: str) -> str:
    """The message after one round of masking.

    If it has only words and whole numbers, the digits do not matter: it is masked as the first message that differs in
    them only. Where a number is kept, as in `status 503`, they do.
    """
    if len(message) > _MAX_PLAIN or not _PLAIN.fullmatch(message):
        return _masked(message)
    shape = _THREE_DIGITS.sub(_is_status_code, message).translate(_ANY_DIGIT)
    text = _of_shape.get(shape)
    if text is None:
        text = _masked(message)
        if _DIGIT.search(text) is None:
            if len(_of_shape) >= _MAX_SHAPES:
                _of_shape.clear()
            _of_shape[shape] = text
    return text


def _is_status_code(match: re.Match[str]) -> str:
    return "A__" if match[0][0] in "12345" else "B__"


def _masked(message: str) -> str:
    """One round of masking."""
    text = cut(message)
    for run in _EARLY:
        text = run(text)
    return _finished(text)


@lru_cache(maxsize=4_096)
def _finished(text: str) -> str:
    """The stages after the values are masked; cached, because few different texts remain."""
    for run in _LATE:
        text = run(text)
    return cut(_shown(text)) or "<text>"


def fired(message: str) -> Iterator[tuple[str, str, str]]:
    """Each rule that changes the message on the way to its template: its name, and the text before and after it."""
    for _ in range(_MAX_ROUNDS):
        text = cut(message)
        if text != message:
            yield "length", message[_END:-_END], ""
        for stage in (*_EARLY_STAGES, *_LATE_STAGES):
            single = [_Stage(mask.kind, partial(_apply, _steps((mask,)))) for mask in stage.masks]
            for rule in single or [stage]:
                before, text = text, rule.run(text)
                yield rule.name, _shown(before), _shown(text)
        if message == (message := _masked(message)):
            return
    yield "no stable form", message, "<text>"


def _shown(text: str) -> str:
    """The text for display: hidden digits restored, single blanks, no empty lines."""
    if not text.isascii():
        text = text.translate(quoted.SHOWN)
    text = _BLANKS.sub(" ", text).strip()
    return "\n".join(filter(None, map(str.strip, text.split("\n")))) if "\n" in text else text


def _apply(steps: tuple[_Step, ...], text: str) -> str:
    for needs, first, sub, placeholder in steps:
        if needs in text and (first is None or first(text)):
            text = sub(placeholder, text)
    return text


def cut(message: str) -> str:
    """The part of a message that is used: at most 2,000 characters, its two ends."""
    if len(message) <= _MAX_MESSAGE:
        return message
    return message[:_END] + _GAP + message[-_END:]


def _unquoted(text: str) -> str:
    """The text in a literal, as which a KeyError shows its message."""
    if text[:1] in {"'", '"'} and (whole := words.WHOLE_QUOTED.fullmatch(text)) and whole["value"].count(" ") > 2:
        return whole["value"]
    return text


def _lines(text: str) -> str:
    """The first lines, without lines that only repeat a value."""
    if "\n" not in text:
        return text
    first, *others = text.replace("\r\n", "\n").split("\n")
    rest = words.SOURCE_MARK.sub("", words.ECHO_LINE.sub("", "\n".join(others)))
    return "\n".join((first, *[line for line in rest.split("\n") if line.strip()][: _MAX_LINES - 1]))


def _key_values(text: str) -> str:
    return _KEY_VALUE.sub(_key_value, text) if "=" in text else text


def _quoted_texts(text: str) -> str:
    return quoted.texts_masked(text) if "'" in text or '"' in text or "`" in text else text


def _values(text: str) -> str:
    return _apply(_MASKS if _DIGIT.search(text) else _MASKS_WITHOUT_DIGIT, text)


def _words_with_digits(text: str) -> str:
    return _WORD.sub(_word, text) if _DIGIT.search(text) else text


def _random_words(text: str) -> str:
    return words.MIXED_CASE.sub(_mixed, text) if words.CASE_CHANGE.search(text) else text


def _key_value(match: re.Match[str]) -> str:
    if match["key"].lower() in words.IDENTITY_KEYS or not (match["value"] or _EMPTY_KEY.fullmatch(match["key"])):
        return match[0]
    return f"{match['key']}=<value>"


def _word(match: re.Match[str]) -> str:
    """Mask a word with a digit, unless it is a code or a name."""
    word = match[0]
    if word.isdecimal():
        return word if len(word) <= 5 and _is_code(word, match) else "<n>"
    kind = _kind(word)
    if kind == word:
        return "<id>" if _is_one_of_many(word, match) else word
    if kind == "<n>":
        before = match.string[max(0, match.start() - 8) : match.start()]
        if words.PROTOCOL_BEFORE.search(before) or (word.count(".") == 2 and words.MAIL_STATUS_BEFORE.search(before)):
            return word
    return kind


def _is_one_of_many(word: str, match: re.Match[str]) -> bool:
    """Whether a numbered name is a machine's: `on beta9`, not `utf-8 on` or `step2 failed`."""
    if words.KEEP_WORD.match(word) or words.CODE_WORD.fullmatch(word):
        return False
    before = match.string[max(0, match.start() - 24) : match.start()]
    return words.MACHINE_BEFORE.search(before) is not None


def _is_code(word: str, match: re.Match[str]) -> bool:
    text, start, end = match.string, match.start(), match.end()
    before = text[max(0, start - 24) : start]
    cue, between = quoted.cue_before(before)
    if between and cue in words.CODE_CUES:
        return True
    if cue == "with" and "exited" in before:
        return True
    is_status = len(word) == 3 and word[0] in "12345"
    if is_status and (cue in words.STATUS_CUES or words.CODE_AFTER.match(text, end)):
        return True
    if is_status and cue in words.WEAK_STATUS_CUES and words.HTTP.search(text):
        return True
    if between.endswith("(") and words.TUPLE_AFTER.match(text, end):
        return True
    return text.startswith("SQLSTATE") or words.PROTOCOL_BEFORE.search(before[-8:]) is not None


@lru_cache(maxsize=4_096)
def _kind(word: str) -> str:
    if words.KEEP_WORD.match(word) or words.CODE_WORD.fullmatch(word):
        return word
    if _LONG_HEX.fullmatch(word):
        return "<hash>"
    if words.NUMBERED_NAME.fullmatch(word) and not words.MACHINE.fullmatch(word) and not _counts_inside(word):
        return word
    if not any(letter.isalpha() for letter in word):
        return "<n>"
    return "<hash>" if _HEX.fullmatch(word) else "<id>"


def _counts_inside(word: str) -> bool:
    """Whether a part before the last one is a number among many: `root9_domain`, not `oauth2_token`."""
    *inner, _last = re.split(r"[_.$-]", word)
    return any(part[-1:].isdecimal() and not words.KEEP_WORD.fullmatch(part) for part in inner)


def _mixed(match: re.Match[str]) -> str:
    return "<id>" if _is_random(match[0]) else match[0]


@lru_cache(maxsize=4_096)
def _is_random(word: str) -> bool:
    """Whether letters change case at random (`JfvzFGhbOQz`), not as in words (`NoSuchKey`)."""
    pieces = [piece for piece in words.CASE_PIECE.findall(word) if piece.lower() not in words.SHORT_WORDS]
    return len(pieces) > 2 and sum(map(len, pieces)) < 3 * len(pieces)


def _steps(table: tuple[templating.Mask, ...]) -> tuple[_Step, ...]:
    """A table prepared for `_apply`; looking attributes up for each message would take 5 % of the time."""
    return tuple((mask.needs, mask.first and mask.first.search, mask.pattern.sub, mask.placeholder) for mask in table)


_MASKS = _steps(templating.MASKS)
_MASKS_WITHOUT_DIGIT = _steps(tuple(mask for mask in templating.MASKS if not mask.digits))
_EARLY_STAGES = (
    _Stage("quotes", quoted.plain_quotes),
    _Stage("whole text quoted", _unquoted),
    _Stage("address", partial(_apply, _steps(templating.ADDRESSES)), templating.ADDRESSES),
    _Stage("body", reduced_bodies),
    _Stage("library", partial(_apply, _steps(library_masks.MASKS)), library_masks.MASKS),
    _Stage("echoed line", _lines),
    _Stage("key=value", _key_values),
    _Stage("quoted value", _quoted_texts),
    _Stage("value", _values, templating.MASKS),
    _Stage("word with a digit", _words_with_digits),
)
"""The stages that mask values, in order."""
_LATE_STAGES = (
    _Stage("random letters", _random_words),
    _Stage("remainder", partial(_apply, _steps(templating.REMAINDERS)), templating.REMAINDERS),
)
"""The stages that remove what masked values leave."""
_EARLY, _LATE = (tuple(stage.run for stage in stages) for stages in (_EARLY_STAGES, _LATE_STAGES))
