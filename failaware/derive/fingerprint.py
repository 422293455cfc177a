"""From an error to its fingerprint: the message with its variable parts masked, and the id of its cluster.

A pure function of (event type, error type, message): no state, no order, no threshold, so that the same failure lands
in the same cluster in any process, forever, for a given VERSION of the rules.
"""

import hashlib
import re
from functools import lru_cache

from failaware.derive.masks import KEEP, MASKS

VERSION = 1
"""Which rules made a template; a change of them is a new version, and a rebuild re-clusters."""

_MAX_MESSAGE = 2_000  # characters that are looked at: the two ends of a longer message
_MAX_LINES = 4
_NO_MESSAGE = "(no message)"

_PLACEHOLDER = r"<[a-z]+>"
_PARTS = re.compile(
    f"(?P<placeholder>{_PLACEHOLDER})|(?P<{KEEP.kind}>{KEEP.pattern})|"
    + "|".join(f"(?P<m{number}>{mask.pattern})" for number, mask in enumerate(MASKS))
)
_KINDS = {f"m{number}": mask.kind for number, mask in enumerate(MASKS)}

_QUOTED = re.compile(r"(?<!\w)(?P<q>['\"`])(?P<value>[^'\"`\n]{0,400})(?P=q)(?!\w)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.]{0,63}")
_DECLARED_NAME = re.compile(r"[A-Za-z_][\w.]{0,63}")
_NAME_BEFORE = re.compile(
    r"(?i)\b(?:column|table|relation|constraint|index|key|field|attribute|parameter|argument|option|module|name|named|"
    r"function|method|class|type|object|property|variable|schema|database|role|sequence|view|operator|encoding|codec|"
    r"format|command|task|queue|topic|model|enum|no attribute|keyword)s?:? ?$"
)
_VALUE_BEFORE = re.compile(r"(?i)(?:\b(?:got|value|input|file|literal|user|received|given|was|directory|for)|[:=]) ?$")
_BODY = re.compile(r"(?s)[{\[](?=[^{}\[\]]{0,200}[:,]).{8,}[}\]]")
_KEY_VALUE = re.compile(r"(?<![\w?&])(?P<name>[A-Za-z_][\w.-]{0,40})=(?P<value>[^\s,;)\]}'\"<]{1,200})")
_CODE_NAMES = frozenset(("reason", "code", "status", "errno", "topic", "op", "state", "method", "action"))
_PLURAL = re.compile(r"(?<=<n> )([a-z]{2,30}[a-rt-z])s\b")
_REPEATED = re.compile(rf"({_PLACEHOLDER})(?:[\s,;|/:-]{{1,3}}{_PLACEHOLDER})+")
_SAME = re.compile(rf"{_PLACEHOLDER}")
_BLANKS = re.compile(r"[ \t\r\f\v]+")


def template(message: str | None, error_type: str | None = None) -> str:
    """The readable name of a failure: its message with the variable parts masked, such as `took <duration>`.

    Of a message without words the error type is the name.
    """
    text = _cut(message or "").strip()
    if not text:
        return error_type or _NO_MESSAGE
    text = _BODY.sub("<body>", text)
    text = _QUOTED.sub(_quoted, text)
    text = _KEY_VALUE.sub(_key_value, text)
    text = _PARTS.sub(_part, text)
    text = _PLURAL.sub(r"\1", text)
    text = _REPEATED.sub(r"\1", text)
    lines = [_BLANKS.sub(" ", line).strip() for line in text.splitlines()]
    return "\n".join([line for line in lines if line][:_MAX_LINES]) or error_type or _NO_MESSAGE


def cluster_id(event_type: str, error_type: str | None, template: str) -> int:
    """The id of a cluster, from 1 to 2^63 - 1: the same on every machine.

    All placeholders count as one, so that a UUID in one failure and a number in the next still meet.
    """
    identity = "\x00".join((event_type, error_type or "", _SAME.sub("<*>", template)))
    digest = hashlib.sha256(identity.encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1


@lru_cache(maxsize=8_192)
def fingerprint(event_type: str, error_type: str | None, message: str | None) -> tuple[int, str]:
    """The cluster's id and its template."""
    name = template(message, error_type)
    return cluster_id(event_type, error_type, name), name


def _cut(message: str) -> str:
    if len(message) <= _MAX_MESSAGE:
        return message
    half = _MAX_MESSAGE // 2
    return f"{message[:half]} <text> {message[-half:]}"


def _part(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    return f"<{_KINDS[kind]}>" if kind in _KINDS else match[0]


def _quoted(match: re.Match[str]) -> str:
    """A quoted name stays (column 'abc'), a quoted value goes (got 'abc'): the words before it and its look tell."""
    value, before = match["value"], match.string[max(0, match.start() - 24) : match.start()]
    if re.fullmatch(_PLACEHOLDER, value):
        return match[0]
    is_name = bool(_NAME.fullmatch(value))
    if _NAME_BEFORE.search(before) and _DECLARED_NAME.fullmatch(value):
        return match[0]
    if not is_name or _VALUE_BEFORE.search(before):
        return f"{match['q']}<text>{match['q']}"
    return match[0]


def _key_value(match: re.Match[str]) -> str:
    return match[0] if match["name"].lower() in _CODE_NAMES else f"{match['name']}=<value>"
