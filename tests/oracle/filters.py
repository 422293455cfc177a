"""What filters let through (docs/filters.md): each word as a predicate, with its text."""

from fnmatch import fnmatchcase

from tests.oracle.clusters import HOUR
from tests.oracle.reports import RANKS

LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
OPERATORS = {
    "": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def words_of_events(random, oracle, ids):
    """One word of a filter of events, and what it says of a state; `ids` are the numbers of clusters."""
    operator, number = random.choice(list(OPERATORS)), random.randint(0, 3)
    moment = oracle.now - random.choice([0, 60, 3_600, 40_000]) * 1_000_000
    name = random.choice(list(ids)) if ids else None
    severity, types = random.choice(LEVELS), sorted({state.event.event_type for state in oracle.states.values()})
    words = [
        *((f"status:{status}", lambda s, status=status: s.status == status)
          for status in ("PENDING", "FAILED", "DEAD", "SYNCED")),
        ("status:UNRESOLVED", lambda s: s.unresolved),
        ("status:dismissed", lambda s: s.dismissed),
        ("status:FAILED,DEAD", lambda s: s.status in ("FAILED", "DEAD")),
        (f"severity:{severity}", lambda s: s.severity == severity),
        (f"severity:{severity}+", lambda s: RANKS[s.severity] >= RANKS[severity]),
        (f"retries:{operator}{number}", lambda s: OPERATORS[operator](s.retries, number)),
        (f"id:{operator}{number}", lambda s: OPERATORS[operator](s.event.event_id, number)),
        ("type:a.*", lambda s: s.event.event_type.startswith("a.")),
        ("key:*1", lambda s: s.event.key is not None and fnmatchcase(s.event.key, "*1")),
        ("source:celery", lambda s: s.event.source == "celery"),
        ("error:VALUE", lambda s: says(s, "value")),
        ('"bad value"', lambda s: says(s, "bad value")),
        (f"since:{iso(moment)}", lambda s: s.changed_at >= moment),
        (f"until:{iso(moment)}", lambda s: s.changed_at <= moment),
    ]  # fmt: skip
    if types:
        chosen = random.choice(types)
        words.append((f"type:{chosen}", lambda s: s.event.event_type == chosen))
    if name:
        words.append((f"cluster:{ids[name]}", lambda s: name in s.clusters))
        words.append((f"last:{ids[name]}", lambda s: s.cluster == name))
    return negated(random, random.choice(words))


def words_of_clusters(random, oracle, ids):
    """One word of a filter of clusters, and what it says of a cluster."""
    operator, number = random.choice(list(OPERATORS)), random.randint(0, 3)
    moment = oracle.now - random.choice([0, 60, 3_600, 40_000]) * 1_000_000
    severity, later = random.choice(LEVELS), moment + random.choice([1, HOUR, 5 * HOUR])
    words = [
        ("status:UNRESOLVED", lambda c: bool(c.unresolved)),
        ("status:RESOLVED", lambda c: not c.unresolved),
        ("status:DEAD", lambda c: c.standing("DEAD") > 0),
        ("status:FAILED", lambda c: c.standing("FAILED") > 0),
        (f"severity:{severity}", lambda c: c.severity == severity),
        (f"severity:{severity}+", lambda c: RANKS[c.severity] >= RANKS[severity]),
        (f"events:{operator}{number}", lambda c: OPERATORS[operator](len(c.members), number)),
        (f"failures:{operator}{number}", lambda c: OPERATORS[operator](len(c.attempts), number)),
        ("type:a.*", lambda c: c.event_type.startswith("a.")),
        ("error:VALUE", lambda c: "value" in f"{c.error_type}\n{c.template}".lower()),
        (f"since:{iso(moment)}", lambda c: c.last_failed_at >= moment),
        (f"until:{iso(moment)}", lambda c: c.first_failed_at <= moment),
        (f"failed:{iso(moment)}..", lambda c: any(hour >= moment // HOUR for hour in c.hours)),
        (f"failed:{iso(moment)}..{iso(later)}",
         lambda c: any(moment // HOUR <= hour < -(-later // HOUR) for hour in c.hours)),
    ]  # fmt: skip
    return negated(random, random.choice(words))


def negated(random, word):
    text, holds = word
    return (f"-{text}", lambda one: not holds(one)) if random.random() < 0.3 else word


def says(state, text):
    if not state.failures:
        return False
    last = state.failures[-1]
    return text in (last.error_type or "").lower() or text in (last.message or "").lower()


def iso(at):
    from datetime import UTC, datetime, timedelta

    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat()
