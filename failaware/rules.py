"""The severity rules, and the policy that sets their thresholds.

A condition is SQL over an evidence row. An event's evidence: `sync_status`, `dismissed` (0 or 1), `attempts` (all),
`failed_attempts` (since the event was last SYNCED or requeued). A cluster's: `events` (distinct events that failed in
it), `unresolved`, `dead` and `retrying` (events whose last failure is in it), `recovered`, `failures`, `episodes`,
`relapses`. `:name` is a threshold of the policy. Rules are ordered worst first; the first that holds decides.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from failaware.errors import UsageError
from failaware.model import Severity


class Rule(NamedTuple):
    """One rule: if `condition` is true of the evidence, the entity has this `severity`.

    `sentence` is the reason, with the evidence in braces; `{events:event}` is "1 event" or "2 events"; the
    plural is formed with s. An event's
    sentence may use `failed_attempts` and `because`, which is its retry reason, if any, after a colon.
    """

    name: str
    of: str
    severity: Severity
    condition: str
    sentence: str


RULES = (
    Rule(
        "recurring",
        "cluster",
        Severity.CRITICAL,
        "events >= :multiple_events AND unresolved > 0 AND (episodes >= :recurring_episodes OR relapses > 0)",
        "{events:event} of {event_type} fail with '{template}' in {episodes:episode}{came_back} since {since}; "
        "{standing}",
    ),
    Rule(
        "multiple",
        "cluster",
        Severity.HIGH,
        "events >= :multiple_events AND unresolved > 0",
        "{events:event} of {event_type} fail with '{template}' since {since}; {standing}",
    ),
    Rule(
        "dead",
        "event",
        Severity.HIGH,
        "sync_status = 'DEAD' AND dismissed = 0",
        "{failed_attempts:attempt} failed, none will follow{because}",
    ),
    Rule(
        "repeatedly-failing",
        "event",
        Severity.MEDIUM,
        "sync_status = 'FAILED' AND dismissed = 0 AND failed_attempts > :repeated_retries",
        "{failed_attempts:attempt} failed, another is due{because}",
    ),
    Rule(
        "retrying",
        "event",
        Severity.LOW,
        "sync_status = 'FAILED' AND dismissed = 0 AND failed_attempts <= :repeated_retries",
        "{failed_attempts:attempt} failed, another is due{because}",
    ),
)


_EVENT_SQL = {"failed_attempts": "s.failed_attempts", "because": "coalesce(': ' || a.retry_reason, '')"}
_PART = re.compile(r"\{(\w+)(?::(\w+))?\}")
_LARGEST = 1_000_000  # of a threshold
_VALUE = re.compile(r"^(\w+) = \d+", re.MULTILINE)


class Policy(NamedTuple):
    """The thresholds, whole numbers from 1; `policy.toml` describes them."""

    repeated_retries: int
    multiple_events: int
    recurring_episodes: int

    def parameters(self) -> dict[str, int]:
        """The thresholds by name, as parameters of the conditions."""
        return self._asdict()

    def to_toml(self) -> str:
        """The policy as TOML, for `from_toml`."""
        return "".join(f"{name} = {value}\n" for name, value in self._asdict().items())

    def explained(self) -> str:
        """The policy as TOML with a comment that describes each threshold."""
        values = self._asdict()
        return _VALUE.sub(lambda line: f"{line[1]} = {values[line[1]]}", _default_text())

    @classmethod
    def from_toml(cls, text: str, *, origin: str = "the policy") -> "Policy":
        """Parse a policy from a TOML text; missing thresholds have their defaults. Errors name `origin` as the source.

        Raises:
            UsageError: not TOML, an unknown name, or a value that is not a whole number of 1 or more.
        """
        import tomllib

        try:
            given = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # ValueError also for a number with too many digits
            raise UsageError(f"{origin} is not TOML: {error}") from None
        known = cls._fields
        for name, value in given.items():
            if name not in known:
                raise UsageError(f"{origin}: there is no threshold '{name}'; there are {', '.join(sorted(known))}")
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST:
                raise UsageError(f"{origin}: {name} is a whole number from 1 to {_LARGEST:,}, not {value!r:.60}")
        return cls(**{**_defaults(), **given})


@cache
def _defaults() -> dict[str, int]:
    import tomllib

    return dict(tomllib.loads(_default_text()))


def _default_text() -> str:
    return Path(__file__).with_name("policy.toml").read_text(encoding="utf-8")


@cache
def default_policy() -> Policy:
    """The thresholds that come with failaware."""
    return Policy(**_defaults())


def event_reason() -> str:
    """SQL for an event's reason, over its event_state `s` and its last failure `a`."""
    sentences = " ".join(f"WHEN '{rule.name}' THEN {_event_sentence(rule.sentence)}" for rule in rules_of("event"))
    return f"CASE s.rule {sentences} END"


def _event_sentence(sentence: str) -> str:
    parts, done = [], 0
    for part in _PART.finditer(sentence):
        name, word = _EVENT_SQL[part[1]], part[2]
        parts += [f"'{sentence[done : part.start()]}'", name]
        parts += [f"CASE {name} WHEN 1 THEN ' {word}' ELSE ' {word}s' END"] if word else []
        done = part.end()
    return " || ".join(sql for sql in (*parts, f"'{sentence[done:]}'") if sql != "''")


def rules_of(entity_type: str) -> tuple[Rule, ...]:
    """The rules of 'event' or 'cluster', worst first."""
    return tuple(rule for rule in RULES if rule.of == entity_type)
