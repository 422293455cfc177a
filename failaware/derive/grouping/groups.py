"""The cluster of a failure, decided by the caller's fingerprint, the user's grouping rules, or the message's template.

A pure function of the failure and the rules. The rules are kept in the store (`setting`), for every writer.
"""

import re
from collections.abc import Callable
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from failaware.derive.grouping.expressions import problem, search
from failaware.derive.grouping.fingerprint import cluster_id, cut, fingerprint, fired, template
from failaware.derive.grouping.frames import chain, innermost
from failaware.derive.grouping.quoted import ANY_PLACEHOLDER
from failaware.derive.grouping.words import SAYING_NOTHING
from failaware.errors import UsageError
from failaware.model import MEMBER, AppliedRule, MaskedPart
from failaware.schema.catalogue import ERASED
from failaware.text import counted

DEFAULT = "{{ default }}"
"""In a given fingerprint, replaced by the template."""

CLUSTERS_PER_TYPE = 1_000
"""The default maximum of templates for an event type; each is a cluster, or a part of one with learned variables."""

VARIABLE_AFTER = 8
"""The default number of different words at one position of otherwise equal templates that make it a variable."""

_OVERFLOW = "\x00overflow"  # no stored text contains a NUL
_BY_TEMPLATE, _BY_CALLER = "the message", "fingerprint= as given"
_BY_PLACE, _BY_FRAMES = "the place in the code, since the message says nothing", "the frames of the user's own code"
_BY_CAUSE = "the root cause"
_ACTIONS = ("group", "split", "apart")
_MATCHES = ("type", "error", "message", "traceback")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_ROOT = "\n\nThe above exception was the direct cause of"  # the traceback of the root cause comes before it
_TOKEN = re.compile(rf"{ANY_PLACEHOLDER.pattern}|\w+|\s+|[^\w\s]")
FRAME = "frame"
"""Splits a cluster by the innermost function of the user's own code."""

_MAX_PART = 200  # characters of the part by which a cluster is split


class Subject(NamedTuple):
    """The parts of a failure that decide its cluster; the traceback is loaded only if it is needed."""

    event_type: str
    error_type: str | None
    message: str | None
    cause: str | None = None
    fingerprint: str | None = None
    traceback: Callable[[], str | None] = lambda: None


class Group(NamedTuple):
    """A failure's cluster: its id, the error type and template that name it, and what decided (`by`).

    `text` is the text from which the template was made. Only `learnable` templates may get learned variables.
    `split_of` is the cluster that a person split, of which this one is a part.
    """

    cluster_id: int
    error_type: str | None
    template: str
    by: str
    text: str
    learnable: bool = False
    split_of: int | None = None


class GroupingRule(NamedTuple):
    """One rule of a user's grouping file: patterns that must match, and one action (group, split or apart)."""

    name: str
    type: str
    error: str
    message: re.Pattern[str] | None
    traceback: re.Pattern[str] | None
    group: str | None
    split: str | None
    apart: bool

    def holds(self, subject: Subject) -> re.Match[str] | bool:
        """Whether the rule applies to the subject; the match of `message` if the rule has one."""
        if not fnmatchcase(subject.event_type, self.type) or not fnmatchcase(subject.error_type or "", self.error):
            return False
        if self.traceback is not None and not search(self.traceback, subject.traceback() or ""):
            return False
        return True if self.message is None else search(self.message, subject.message or "") or False


class GroupingRules(NamedTuple):
    """The rules in order; the first that holds decides. `toml` is their source text.

    With `frames_first`, failures with a traceback are grouped by the frames of the user's own code.
    An event type has at most `clusters_per_type` clusters; failures outside these share one more. A position of a
    template is a variable once `variable_after` words occurred there; 0: never.
    `splits` are clusters that a person split, and by what: a placeholder of the template, or FRAME.
    """

    rules: tuple[GroupingRule, ...] = ()
    toml: str = ""
    clusters_per_type: int = CLUSTERS_PER_TYPE
    variable_after: int = VARIABLE_AFTER
    frames_first: bool = False
    splits: tuple[tuple[int, str], ...] = ()

    @classmethod
    def from_toml(cls, text: str, *, origin: str = "the grouping file", stored: bool = False) -> "GroupingRules":
        """Parse rules from a TOML text (docs/grouping.md). Errors name `origin` as the source.

        `stored` rules may contain expressions that are refused today; those match nothing.

        Raises:
            UsageError: not TOML, an unknown key, a wrong type, an invalid expression, not exactly one action, or
                clusters_per_type below 1, variable_after 1 or below 0, frames_first neither true nor false.
        """
        import tomllib

        try:
            given = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # ValueError also for a number with too many digits
            raise UsageError(f"{origin} is not TOML: {error}") from None
        most, tables = given.pop("clusters_per_type", CLUSTERS_PER_TYPE), given.pop("rule", [])
        if type(most) is not int or most < 1:
            raise UsageError(f"{origin}: clusters_per_type is a whole number, 1 or more, not {most!r}")
        words = given.pop("variable_after", VARIABLE_AFTER)
        if type(words) is not int or words < 0 or words == 1:
            raise UsageError(f"{origin}: variable_after is a whole number, 2 or more, or 0 for never, not {words!r}")
        frames_first = given.pop("frames_first", False)
        if type(frames_first) is not bool:
            raise UsageError(f"{origin}: frames_first is true or false, not {frames_first!r}")
        if given or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            settings = "clusters_per_type, variable_after, frames_first"
            raise UsageError(f"{origin}: it has {settings}, [[rule]] tables and nothing else")
        rules = tuple(
            _rule(table, f"{origin}: rule {number}", stored=stored) for number, table in enumerate(tables, start=1)
        )
        return cls(rules, text, most, words, frames_first)


def group(subject: Subject, rules: GroupingRules) -> Group:
    """The cluster of a failure by the caller's fingerprint, else the first rule that holds, else its message.

    If a person split that cluster, it is a part of it.
    """
    own = _whole(subject, rules)
    return next((_split(subject, own, by) for number, by in rules.splits if number == own.cluster_id), own)


def _split(subject: Subject, own: Group, by: str) -> Group:
    """The part of a cluster that a person split, by the values of a placeholder or by the place in the code."""
    if by == FRAME:
        value = innermost(subject.traceback() or "") or ""
    else:
        texts = sorted(own.text.split(MEMBER)) if own.by == _BY_CAUSE else [own.text]  # of a group, in any order
        parts = (part for text in texts for part in masked_parts(text, template(text)))
        value = " ".join(part.text for part in parts if part.placeholder == by)
    name = f"{own.template} [{by}={value[:_MAX_PART]}]"
    number = cluster_id(subject.event_type, own.error_type, f"={name}")
    by = f"{own.by}, split by {by}"
    return own._replace(cluster_id=number, template=name, by=by, learnable=False, split_of=own.cluster_id)


def _whole(subject: Subject, rules: GroupingRules) -> Group:
    if subject.fingerprint:
        return _named(subject, subject.fingerprint, _BY_CALLER, rules)
    for rule in rules.rules:
        if match := rule.holds(subject):
            return _by_rule(subject, rule, match, rules)
    return _usual(subject, rules)


def erased_group(cluster_id: int, event_type: str, error_type: str | None, rules: GroupingRules) -> Group:
    """The cluster of a failure whose texts were erased, as recorded by the erasure."""
    beyond = overflow(event_type, rules)
    if cluster_id == beyond.cluster_id:
        return beyond
    return Group(cluster_id, error_type, ERASED, "what it was before it was erased", ERASED)


def overflow(event_type: str, rules: GroupingRules) -> Group:
    """The cluster for failures of an event type that already has the maximum of clusters."""
    number = cluster_id(event_type, None, _OVERFLOW)
    name = f"[overflow] failures outside the first {counted(rules.clusters_per_type, 'cluster')} of this type"
    return Group(number, None, name, f"clusters_per_type = {rules.clusters_per_type}", "")


def masked_parts(text: str, name: str) -> tuple[MaskedPart, ...]:
    """The parts of a text that its template masks, with their placeholders ("" for dropped parts)."""
    before, after = _TOKEN.findall(cut(text)), _TOKEN.findall(name)
    parts = []
    for kind, from_before, to_before, from_after, to_after in SequenceMatcher(None, before, after).get_opcodes():
        was, now = "".join(before[from_before:to_before]).strip(), "".join(after[from_after:to_after]).strip()
        if kind != "equal" and was != now:
            parts.append(MaskedPart(now, was))
    return tuple(parts)


def applied_rules(message: str) -> tuple[AppliedRule, ...]:
    """The rules that fired on a message, in order, with the parts of the text that each of them changed."""
    changed = ((rule, masked_parts(before, after)) for rule, before, after in fired(message) if before != after)
    return tuple(AppliedRule(rule, parts) for rule, parts in changed if parts)


def _says_too_little(message: str | None, name: str) -> bool:
    """Whether a template has no words, or only such as `an error occurred`: the place in the code decides as well."""
    if not message or not message.strip():
        return True
    words = _WORD.findall(ANY_PLACEHOLDER.sub("", name).lower())
    return SAYING_NOTHING.issuperset(words) or all(word.isdecimal() for word in words)


def _usual(subject: Subject, rules: GroupingRules) -> Group:
    """The cluster by frames, if the rules want them first; else by root cause or message."""
    if rules.frames_first and (frames := chain(subject.traceback() or "")):
        name = f"in {frames}"
        number = cluster_id(subject.event_type, subject.error_type, name)
        return Group(number, subject.error_type, name, _BY_FRAMES, subject.message or "")
    if subject.cause:
        return _by_cause(subject, subject.cause)
    number, name = fingerprint(subject.event_type, subject.error_type, subject.message)
    own = Group(number, subject.error_type, name, _BY_TEMPLATE, subject.message or "", learnable=True)
    return _placed(subject, own, subject.traceback) if _says_too_little(subject.message, name) else own


def _placed(subject: Subject, own: Group, traceback: Callable[[], str | None]) -> Group:
    """With the user's innermost function, if the traceback has one."""
    place = innermost(traceback() or "")
    if place is None:
        return own
    name = f"{own.template} in {place}"
    number = cluster_id(subject.event_type, own.error_type, name)
    return own._replace(cluster_id=number, template=name, by=_BY_PLACE, learnable=False)


def _by_cause(subject: Subject, cause: str) -> Group:
    """The cluster of a root cause; for several (an exception group), of all of them in sorted order."""
    members = sorted({_typed_template(member) for member in cause.split(MEMBER)})
    error_type, name = members[0] if len(members) == 1 else (subject.error_type, "\n".join(map(": ".join, members)))
    number = cluster_id(subject.event_type, error_type, name)
    alone = len(members) == 1
    text = cause.partition(": ")[2] if alone else cause
    own = Group(number, error_type, name, _BY_CAUSE, text, learnable=alone)
    if not alone or not _says_too_little(text, name):
        return own
    return _placed(subject, own, lambda: (subject.traceback() or "").partition(_ROOT)[0])


def _typed_template(cause: str) -> tuple[str, str]:
    error_type, _, message = cause.partition(": ")
    return error_type, template(message, error_type)


def _by_rule(subject: Subject, rule: GroupingRule, match: re.Match[str] | bool, rules: GroupingRules) -> Group:
    by = f"rule '{rule.name}'"
    if rule.group is not None:
        return _named(subject, rule.group, by, rules)
    if rule.apart:
        text = subject.message or subject.error_type or ""
        return Group(cluster_id(subject.event_type, subject.error_type, text), subject.error_type, cut(text), by, text)
    part = match[rule.split] if isinstance(match, re.Match) and rule.split else None
    return _named(subject, f"{DEFAULT} [{rule.split}={(part or '')[:_MAX_PART]}]", by, rules)


def _named(subject: Subject, name: str, by: str, rules: GroupingRules) -> Group:
    """A cluster with a given name, for any error type; with DEFAULT, a part of the usual cluster."""
    if DEFAULT not in name:
        return Group(cluster_id(subject.event_type, None, f"={name}"), None, name, by, subject.message or "")
    usual = _usual(subject, rules)
    name = name.replace(DEFAULT, usual.template)
    return Group(cluster_id(subject.event_type, usual.error_type, f"={name}"), usual.error_type, name, by, usual.text)


def _rule(table: dict[str, Any], where: str, *, stored: bool) -> GroupingRule:
    known = ("name", *_MATCHES, *_ACTIONS)
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{where}: there is no key '{key}'; there are {', '.join(known)}")
        if not isinstance(value, bool if key == "apart" else str) or value is False or value == "":
            raise UsageError(f"{where}: {key} is {'true' if key == 'apart' else 'a text'}, not {value!r}")
    actions = [action for action in _ACTIONS if action in table]
    if len(actions) != 1:
        raise UsageError(f"{where}: name one of group, split and apart, not {' and '.join(actions) or 'none'}")
    message, traceback = (
        _expression(table.get(key), f"{where}: {key}", stored=stored) for key in ("message", "traceback")
    )
    if "split" in table and (message is None or table["split"] not in message.groupindex):
        raise UsageError(f"{where}: split = '{table['split']}' needs (?P<{table['split']}>…) in its message")
    return GroupingRule(
        table.get("name") or table.get("group") or where.rpartition(": ")[2],
        table.get("type", "*"),
        table.get("error", "*"),
        message,
        traceback,
        table.get("group"),
        table.get("split"),
        table.get("apart", False),
    )


def _expression(text: str | None, where: str, *, stored: bool) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        expression = re.compile(text)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"{where} is not a regular expression: {error}") from None
    if not stored and (refused := problem(text)):
        raise UsageError(f"{where} {refused}, because a message could stop every writer")
    return expression
