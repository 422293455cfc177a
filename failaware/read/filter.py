"""The filter language: `status:DEAD type:payment.* -error:timeout since:2h` becomes a condition and its parameters.

A filter is a list of words. `field:value` matches a field, `field:a,b` either value, and `-` or `!` before a word
negates it. Values with spaces are written in double quotes. A word without a field is searched for in the error. All
words must match. Field names come from a fixed table, and values are only ever passed as SQL parameters.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Literal, NamedTuple

from failaware.errors import FilterError
from failaware.model import HOUR, NEVER, Severity, SyncStatus
from failaware.read.time_expressions import parse_moment

Order = Literal["newest", "oldest"]

WORD = re.compile(r'(?P<not>[-!])?(?:(?P<field>[A-Za-z_]+):)?(?P<value>"[^"]*"|[^\s"]+)(?=\s|$)')
"""A word of a filter: `not`, `field` and `value`."""

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_MOST_WALKS = 16  # per filter: SQLite combines at most 500 queries
_MOST_VALUES = 200  # per filter: SQLite limits the depth of a condition to 1,000
_LONGEST_VALUE = 4_096  # characters: SQLite limits a pattern to 50,000 bytes
_MAX_DIGITS = 19  # of NEVER
_NUMBER = re.compile(r"(>=|<=|>|<|=)?(\d{1,19})")


class Walk(NamedTuple):
    """An index scan that gives events in the order of their ids: SQL for FROM and WHERE, and the id's column."""

    source: str
    condition: str = "true"
    event_id: str = "s.event_id"


_UNATTEMPTED = """(
  SELECT event_id, event_type, 'PENDING' AS sync_status, 0 AS dismissed, 0 AS retry_count, 0 AS cluster_id,
         NULL AS severity, CAST(NULL AS BIGINT) AS last_failure, detected_at AS changed_at
    FROM {}) s"""
_ALONG_UNATTEMPTED = tuple(Walk(_UNATTEMPTED.format(table)) for table in ("stored_unattempted", "unstored_event"))
_ALONG_STATES = (Walk("attempted_event s"), *_ALONG_UNATTEMPTED)
"""Every event with its state, from narrow tables: a condition on it takes longer to check in `event_state`."""


PartsOf = Callable[[int], Sequence[int]]


class Condition:
    """SQL for WHERE, and its parameters.

    `walks` are the index scans to read from. They may replace one word of the filter, which `sql` then omits. No event
    is in two of them. For example, `severity:HIGH,CRITICAL type:payment.*` has two walks, `s.severity = 'HIGH'` and
    `s.severity = 'CRITICAL'`, each in the order of ids along an index, and `sql` has the condition on the type. A page
    of 50 reads until it has 50 rows of all walks, and merges them. `fields` are those of the filter's words; without
    any, the only walk has ids and no state. `parts` gives the parts of a cluster, each of which is a walk.
    """

    def __init__(self, parts: PartsOf = lambda _: ()) -> None:
        self.parts = parts
        self.sql = "true"
        self.walks: tuple[Walk, ...] = (Walk("event_log s"),)
        self.fields: set[str] = set()
        self.parameters: dict[str, Any] = {}

    def bind(self, value: object) -> str:
        """Add a parameter with this value and return its placeholder."""
        name = f"f{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"


class _Word(NamedTuple):
    """A word of a filter."""

    field: str
    values: list[str]
    negated: bool


Field = Callable[[Condition, str, int], str]
WalksOf = Callable[[Condition, list[str]], tuple[Walk, ...]]


def parse(
    text: str,
    fields: Mapping[str, Field],
    *,
    now: int,
    cluster: Callable[[str], int],
    walks: Mapping[str, WalksOf] | None = None,
    parts: PartsOf = lambda _: (),
) -> Condition:
    """Parse a filter; `cluster` completes the first digits of a cluster id, whose parts `parts` gives.

    Raises:
        FilterError: a field is unknown, or a value is invalid for its field.
    """
    condition = Condition(parts)
    words = list(_words(text.strip(), fields, cluster))
    conditions = []
    if words:
        condition.walks, condition.fields = _ALONG_STATES, {word.field for word in words}
    indexed = _indexed_word(condition, words, walks or {})
    for word in words:
        if word is not indexed:
            either = " OR ".join(fields[word.field](condition, value, now) for value in word.values)
            conditions.append(f"NOT coalesce(({either}), false)" if word.negated else f"({either})")
    condition.sql = " AND ".join(conditions) or "true"
    return condition


def _words(text: str, fields: Mapping[str, Field], cluster: Callable[[str], int]) -> Iterator[_Word]:
    position = count = 0
    while position < len(text):
        match = WORD.match(text, position)
        if not match:
            raise FilterError(f"the filter is invalid at '{text[position : position + 20]}'; close the quote")
        name = (match["field"] or "error").lower()
        if name not in fields:
            raise FilterError(_no_field(name, fields))
        value = match["value"]
        values = [value[1:-1]] if value.startswith('"') else [part for part in value.split(",") if part]
        if not values:
            raise FilterError(f"'{name}:' needs a value")
        count += len(values)
        if count > _MOST_VALUES or len(value) > _LONGEST_VALUE:
            raise FilterError(f"a filter has {_MOST_VALUES} values of {_LONGEST_VALUE:,} characters at most")
        if name in {"cluster", "last"}:
            values = [str(cluster(part)) if _is_id(part) else part for part in values]
        yield _Word(name, values, negated=bool(match["not"]))
        position = len(text) - len(text[match.end() :].lstrip())


def _is_id(value: str) -> bool:
    """Whether a value may be an id or the beginning of one. Python refuses to parse numbers with very many digits."""
    return value.isdecimal() and len(value) <= _MAX_DIGITS


def _indexed_word(condition: Condition, words: list[_Word], walks_of: Mapping[str, WalksOf]) -> _Word | None:
    """Set the condition's walks from the most selective word that has an index, and return that word."""
    for field, walks_for in walks_of.items():
        for word in words:
            if word.field == field and not word.negated and (walks := walks_for(condition, word.values)):
                condition.walks = walks
                return word
    return None


def _no_field(name: str, fields: Mapping[str, Field]) -> str:
    if name == "store":
        return "'store:' chooses among several stores, and there is one; leave it out, or repeat --db"
    hint = _did_you_mean(name, fields) or f"fields are {', '.join(fields)}"
    return f"there is no field '{name}' to filter by; {hint}"


def _did_you_mean(word: str, words: Iterable[str]) -> str:
    """A suggestion for a misspelled word, or an empty string."""
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


def _failed_within(condition: Condition, value: str, now: int) -> str:
    """A failure in the hours from that of FROM to the one that ends at or after TO; either may be left out."""
    begin, dots, end = value.partition("..")
    if not dots or value == dots:
        raise FilterError(f"'{value}' is not a period; write FROM..TO, such as 6h..2h or 'yesterday 14:00..today'")
    hours = [f"h.hour >= {condition.bind(parse_moment(begin, now=now) // HOUR)}"] if begin else []
    hours += [f"h.hour < {condition.bind(-(-parse_moment(end, now=now) // HOUR))}"] if end else []
    return f"EXISTS (SELECT 1 FROM cluster_hour h WHERE h.cluster_id = cluster.cluster_id AND {' AND '.join(hours)})"


_SHORT = {"CRIT": "CRITICAL", "MED": "MEDIUM"}  # as lists of the inspector show them


def _severity(column: str) -> Field:
    return lambda condition, value, _now: f"{column} IN ({', '.join(map(condition.bind, _levels(value)))})"


def _levels(value: str) -> list[str]:
    """The severities that a value matches."""
    levels = [level.value for level in Severity]
    level = value.rstrip("+").upper()
    level = _SHORT.get(level, level)
    if level not in levels:
        there_are = f"there are {', '.join(levels)}, and HIGH+ for HIGH or worse"
        raise FilterError(f"'{value}' is not a severity; {_did_you_mean(level, levels) or there_are}")
    return levels[levels.index(level) :] if value.endswith("+") else [level]


def _status(condition: Condition, value: str, _now: int) -> str:
    name = value.upper()
    if name == "UNRESOLVED":
        return "s.severity IS NOT NULL"
    if name == "DISMISSED":
        return "s.dismissed = 1"
    if name not in list(SyncStatus):
        names = [*SyncStatus, "UNRESOLVED", "DISMISSED"]
        hint = _did_you_mean(name, names) or f"there are {', '.join(names)}"
        raise FilterError(f"'{value}' is not a status; {hint}")
    return f"s.sync_status = {condition.bind(name)}"


def _cluster_status(_condition: Condition, value: str, _now: int) -> str:
    sql = {"UNRESOLVED": "unresolved > 0", "RESOLVED": "unresolved = 0", "DEAD": "dead > 0", "FAILED": "retrying > 0"}
    if value.upper() not in sql:
        hint = _did_you_mean(value.upper(), sql) or f"there are {', '.join(sql)}"
        raise FilterError(f"'{value}' is not a status of clusters; {hint}")
    return sql[value.upper()]


def _ever_in_cluster(condition: Condition, value: str, now: int) -> str:
    of = _number("c.cluster_id")(condition, value, now)
    return f"EXISTS (SELECT 1 FROM event_cluster c WHERE c.event_id = s.event_id AND {of})"


def _key(condition: Condition, value: str, now: int) -> str:
    of = _exact("k.key")(condition, value, now)
    return f"EXISTS (SELECT 1 FROM event_key k WHERE k.event_id = s.event_id AND {of})"


def _like(column: str, pattern: str) -> str:
    """SQL for LIKE that ignores the case of A-Z only, on both engines."""
    return f"lower({column}) LIKE {pattern} ESCAPE '\\'"


def _literal(value: str) -> str:
    """The value escaped for a pattern of `_like`."""
    return value.translate(_LOWER).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _along_keys(condition: Condition, values: list[str]) -> tuple[Walk, ...]:
    if len(values) > _MOST_WALKS or "*" in "".join(values):
        return ()
    return tuple(
        Walk("event_key m CROSS JOIN event_state s", f"m.key = {key} AND s.event_id = m.event_id", "m.event_id")
        for key in map(condition.bind, dict.fromkeys(values))
    )


def _along_cluster(condition: Condition, values: list[str]) -> tuple[Walk, ...]:
    """One cluster only: an event may be in several. CROSS JOIN keeps SQLite from scanning all events."""
    if len(values) > 1 or not _is_id(values[0]) or int(values[0]) > NEVER:
        return ()
    parts = condition.parts(int(values[0]))
    if len(parts) > _MOST_WALKS:
        return ()
    return tuple(
        Walk(
            "stored_member m CROSS JOIN attempted_event s",
            f"m.part_id = {part} AND s.event_id = m.event_id",
            "m.event_id",
        )
        for part in map(condition.bind, parts or (0,))
    )


def _along_last_cluster(condition: Condition, values: list[str]) -> tuple[Walk, ...]:
    return tuple(
        walk._replace(condition=f"{walk.condition} AND s.cluster_id = {condition.bind(int(values[0]))}")
        for walk in _along_cluster(condition, values)
    )


def _along_severities(condition: Condition, values: list[str]) -> tuple[Walk, ...]:
    wanted = dict.fromkeys(level for value in values for level in _levels(value))
    return tuple(Walk("attempted_event s", f"s.severity = {condition.bind(level)}") for level in wanted)


def _along_statuses(condition: Condition, values: list[str]) -> tuple[Walk, ...]:
    """The events with these statuses. Literals, since SQLite uses a partial index only without parameters."""
    wanted = {value.upper() for value in values}
    if wanted == {"UNRESOLVED"}:
        return _along_severities(condition, [f"{Severity.LOW}+"])
    if wanted == {"DISMISSED"}:
        return (Walk("attempted_event s", "s.dismissed = 1"),)
    if not wanted <= set(SyncStatus):
        return ()
    attempted = (Walk("attempted_event s", f"s.sync_status = '{status}'") for status in sorted(wanted))
    return (*attempted, *(_ALONG_UNATTEMPTED if "PENDING" in wanted else ()))


EVENT_FIELDS: dict[str, Field] = {
    "status": _status,
    "type": _exact("s.event_type"),
    "error": _contains("a.error_type", "a.error_message"),
    "severity": _severity("s.severity"),
    "cluster": _ever_in_cluster,
    "last": _number("s.cluster_id"),
    "source": _exact("e.source"),
    "key": _key,
    "id": _number("s.event_id"),
    "retries": _number("s.retry_count"),
    "since": _time("s.changed_at", ">="),
    "until": _time("s.changed_at", "<="),
}
"""The filter fields of events. `cluster` is any cluster that an event failed with, `last` that of its last failure;
`since` and `until` compare with the event's newest fact.
"""

EVENT_WALKS: dict[str, WalksOf] = {
    "key": _along_keys,
    "cluster": _along_cluster,
    "last": _along_last_cluster,
    "severity": _along_severities,
    "status": _along_statuses,
}
"""The fields of events that have an index, usually most selective first."""

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
    "failed": _failed_within,
}
"""The filter fields of clusters. `since` compares with the newest failure, `until` with the first, `failed` with all,
by whole hours.
"""


_VALUES: dict[str, tuple[str, ...]] = {
    "status": ("UNRESOLVED", "DEAD", "FAILED", "PENDING", "SYNCED", "DISMISSED"),
    "severity": ("CRITICAL", "HIGH", "HIGH+", "MEDIUM", "MEDIUM+", "LOW"),
    "since": ("1h", "24h", "7d", "today", "yesterday"),
    "until": ("1h", "24h", "today", "yesterday"),
}
_OF_CLUSTERS = _VALUES | {"status": ("UNRESOLVED", "RESOLVED", "DEAD", "FAILED")}


def values_of(field: str, *, clusters: bool) -> tuple[str, ...]:
    """The usual values of a field of clusters or events, for completion; empty if any value is possible."""
    return (_OF_CLUSTERS if clusters else _VALUES).get(field, ())
