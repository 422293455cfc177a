"""The filter language: `status:DEAD type:payment.* -error:timeout since:2h` becomes a condition and its parameters.

A filter is words. `field:value` asks for a field, `field:a,b` for either value, `-` or `!` before a word for the
opposite; values with blanks stand in double quotes; a word without a field is looked for in the error. All words must
hold. Fields come from a closed table, and values only ever travel as parameters.
"""

import re
from collections.abc import Callable, Iterable
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Literal

from failaware.engine.sql import retries
from failaware.errors import FilterError
from failaware.model import NEVER, Severity, SyncStatus
from failaware.read.moment import parse_moment

Order = Literal["newest", "oldest"]

_WORD = re.compile(r'(?P<not>[-!])?(?:(?P<field>[A-Za-z_]+):)?(?P<value>"[^"]*"|[^\s"]+)(?=\s|$)')
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_NUMBER = re.compile(r"(>=|<=|>|<|=)?(\d{1,19})")


class Condition:
    """SQL for WHERE, and its parameters.

    `member_of` is a cluster that all events must have failed with: the list is then read along that cluster's own
    index, and `sql` says nothing of it.
    """

    def __init__(self) -> None:
        self.sql = "true"
        self.member_of: int | None = None
        self.parameters: dict[str, Any] = {}

    def bind(self, value: object) -> str:
        """The name of a new parameter with this value."""
        name = f"f{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"


Field = Callable[[Condition, str, int], str]


def parse(text: str, fields: dict[str, Field], *, now: int, cluster: Callable[[str], int]) -> Condition:
    """Read a filter; `cluster` gives the number of the cluster that is meant by its first digits.

    Raises:
        FilterError: an unknown field, or a value that its field does not take.
    """
    condition = Condition()
    parts, position = [], 0
    text = text.strip()
    while position < len(text):
        match = _WORD.match(text, position)
        if not match:
            raise FilterError(f"the filter breaks off at '{text[position : position + 20]}'; is a quote left open?")
        name = (match["field"] or "error").lower()
        if name not in fields:
            raise FilterError(_no_field(name, fields))
        value = match["value"]
        values = [value[1:-1]] if value.startswith('"') else [part for part in value.split(",") if part]
        if name in {"cluster", "last"}:
            values = [str(cluster(part)) if part.isdecimal() else part for part in values]
        if fields is EVENT_FIELDS and name in {"cluster", "last"} and condition.member_of is None and _is_one(match):
            condition.member_of = int(values[0])
            if name == "cluster":
                position = _next_word(text, match.end())
                continue
        either = " OR ".join(fields[name](condition, part, now) for part in values)
        if not either:
            raise FilterError(f"'{name}:' needs a value")
        parts.append(f"NOT coalesce(({either}), false)" if match["not"] else f"({either})")
        position = _next_word(text, match.end())
    condition.sql = " AND ".join(parts) or "true"
    return condition


def _is_one(match: re.Match[str]) -> bool:
    """Whether a word asks for exactly one number."""
    return not match["not"] and match["value"].isdecimal() and int(match["value"]) <= NEVER


def _next_word(text: str, end: int) -> int:
    return len(text) - len(text[end:].lstrip())


def _no_field(name: str, fields: dict[str, Field]) -> str:
    hint = _meant(name, fields) or f"fields are {', '.join(fields)}"
    return f"there is no field '{name}' to filter by; {hint}"


def _meant(word: str, words: Iterable[str]) -> str:
    """A guess at a misspelt word, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(words), 1)
    return f"did you mean '{close[0]}'?" if close else ""


def _exact(column: str) -> Field:
    def make(condition: Condition, value: str, _now: int) -> str:
        if "*" not in value:
            return f"{column} = {condition.bind(value)}"
        return _like(column, condition.bind(_literal(value).replace("*", "%")))

    return make


def _contains(*columns: str) -> Field:
    def make(condition: Condition, value: str, _now: int) -> str:
        pattern = condition.bind(f"%{_literal(value)}%")
        return " OR ".join(_like(column, pattern) for column in columns)

    return make


def _number(column: str) -> Field:
    def make(condition: Condition, value: str, _now: int) -> str:
        match = _NUMBER.fullmatch(value)
        if not match or int(match[2]) > NEVER:
            raise FilterError(f"'{value}' is not a number; write 3, >3, >=3, <3 or <=3")
        return f"{column} {match[1] or '='} {condition.bind(int(match[2]))}"

    return make


def _time(column: str, compare: str) -> Field:
    return lambda condition, value, now: f"{column} {compare} {condition.bind(parse_moment(value, now=now))}"


def _severity(column: str, among: str = "") -> Field:
    """`among` and the + lead SQLite along the unresolved events in their order; by severity it would sort them all."""

    def make(condition: Condition, value: str, _now: int) -> str:
        levels = [level.value for level in Severity]
        at_least = value.endswith("+")
        level = value.rstrip("+").upper()
        if level not in levels:
            there_are = f"there are {', '.join(levels)}, and HIGH+ for HIGH or worse"
            raise FilterError(f"'{value}' is not a severity; {_meant(level, levels) or there_are}")
        wanted = levels[levels.index(level) :] if at_least else [level]
        return f"{among}{column} IN ({', '.join(condition.bind(name) for name in wanted)})"

    return make


def _status(condition: Condition, value: str, _now: int) -> str:
    name = value.upper()
    if name == "UNRESOLVED":
        return "s.severity IS NOT NULL"
    if name == "DISMISSED":
        return "s.dismissed = 1"
    if name not in list(SyncStatus):
        names = [*SyncStatus, "UNRESOLVED", "DISMISSED"]
        hint = _meant(name, names) or f"there are {', '.join(names)}"
        raise FilterError(f"'{value}' is not a status; {hint}")
    return f"s.sync_status = {condition.bind(name)}"


def _cluster_status(_condition: Condition, value: str, _now: int) -> str:
    sql = {"UNRESOLVED": "unresolved > 0", "RECOVERED": "unresolved = 0", "DEAD": "dead > 0", "FAILED": "retrying > 0"}
    if value.upper() not in sql:
        hint = _meant(value.upper(), sql) or f"there are {', '.join(sql)}"
        raise FilterError(f"'{value}' is not a status of clusters; {hint}")
    return sql[value.upper()]


def _ever_in_cluster(condition: Condition, value: str, now: int) -> str:
    of = _number("c.cluster_id")(condition, value, now)
    return f"EXISTS (SELECT 1 FROM event_cluster c WHERE c.event_id = s.event_id AND {of})"


def _key(condition: Condition, value: str, now: int) -> str:
    of = _exact("k.key")(condition, value, now)
    return f"EXISTS (SELECT 1 FROM event_key k WHERE k.event_id = s.event_id AND {of})"


def _like(column: str, pattern: str) -> str:
    """SQL that compares with a pattern as both engines do: whatever the case of A-Z, and of these alone."""
    return f"lower({column}) LIKE {pattern} ESCAPE '\\'"


def _literal(value: str) -> str:
    """The value as a part of a pattern for `_like`, where it stands for itself."""
    return value.translate(_LOWER).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


EVENT_FIELDS: dict[str, Field] = {
    "status": _status,
    "type": _exact("s.event_type"),
    "error": _contains("a.error_type", "a.error_message"),
    "severity": _severity("+s.severity", "s.severity IS NOT NULL AND "),
    "cluster": _ever_in_cluster,
    "last": _number("s.cluster_id"),
    "source": _exact("e.source"),
    "key": _key,
    "id": _number("s.event_id"),
    "retries": _number(f"({retries('s.attempts')})"),
    "since": _time("s.changed_at", ">="),
    "until": _time("s.changed_at", "<="),
}
"""What events can be asked for. `cluster` is any that they failed with, `last` that of their last failure; `since` and
`until` go by an event's newest fact.
"""

CLUSTER_FIELDS: dict[str, Field] = {
    "status": _cluster_status,
    "type": _exact("event_type"),
    "error": _contains("error_type", "template"),
    "severity": _severity("severity"),
    "cluster": _number("cluster_id"),
    "events": _number("events"),
    "failures": _number("failures"),
    "since": _time("last_failed_at", ">="),
    "until": _time("first_failed_at", "<="),
}
"""What clusters can be asked for: `since` their newest failure, `until` their first one."""
