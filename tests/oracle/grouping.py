"""Which cluster a failure belongs to (docs/grouping.md). Of the messages in these histories only numbers vary."""

import json
import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from failaware.derive.grouping.fingerprint import cluster_id
from failaware.model import MEMBER

ERASED = "[erased]"
OVERFLOW = "[overflow]"


class Group(NamedTuple):
    """A failure's cluster: what it is known by, what it is called, why, and the text that the name is made of."""

    name: tuple
    error_type: str | None
    template: str
    by: str
    text: str
    learned: tuple = ()
    split_of: int | None = None
    own_template: str | None = None
    """Its template before a person's merge."""


class Rules(NamedTuple):
    """A user's rules, as the tables of the TOML file."""

    rules: tuple = ()
    clusters_per_type: int = 1_000
    variable_after: int = 8
    splits: tuple = ()
    """(id of a cluster, what a person split it by)."""

    def to_toml(self):
        """The file."""
        tables = ["[[rule]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in rule.items())
                  for rule in self.rules]  # fmt: skip
        limits = [f"{name} = {getattr(self, name)}" for name in ("clusters_per_type", "variable_after")]
        return "\n".join([*limits, *tables])


def template(message, error_type):
    """A message with its variable parts masked; without one, the error type."""
    return re.sub(r"\d+", "<n>", message) if message and message.strip() else error_type


def group(event, attempt, rules, *, text):
    """The usual cluster, or the part of it that a person split it into."""
    usual = whole(event, attempt, rules, text=text)
    for number, by in rules.splits:
        if number == number_of(usual.name):
            texts = "\n".join(sorted((usual.text or "").split(MEMBER)))
            values = re.findall(r"\d+", texts) if by == "<n>" else [own_place(text) or ""] * (by == "frame")
            name = f"{usual.template} [{by}={' '.join(values)}]"
            return usual._replace(name=(*usual.name[:2], f"={name}"), template=name, by=f"{usual.by}, split by {by}",
                                  split_of=number)  # fmt: skip
    return usual


def number_of(name):
    """The id of a cluster."""
    *kind, text = name
    text = "\x00overflow" if text == OVERFLOW else text if isinstance(text, str) else " ".join(text)
    return cluster_id(*kind, text)


def whole(event, attempt, rules, *, text):
    """The first that applies: the caller's word, the user's rules, the root cause, the message."""
    if word := attempt.fingerprint or event.fingerprint:
        return named(event, attempt, text, word, "fingerprint= as given", attempt.message)
    for number, rule in enumerate(rules.rules, start=1):
        match = re.search(rule.get("message", ""), attempt.message or "")
        if (
            match
            and fnmatchcase(event.event_type, rule.get("type", "*"))
            and fnmatchcase(attempt.error_type or "", rule.get("error", "*"))
            and re.search(rule.get("traceback", ""), text or "")
        ):
            by = f"rule '{rule.get('name') or rule.get('group') or f'rule {number}'}'"
            if "group" in rule:
                return named(event, attempt, text, rule["group"], by, attempt.message)
            if "split" in rule:
                part = match[rule["split"]]
                return named(event, attempt, text, f"{{{{ default }}}} [{rule['split']}={part}]", by, attempt.message)
            words = attempt.message or attempt.error_type
            return Group((event.event_type, attempt.error_type, words), attempt.error_type, words, by, words)
    return default(event, attempt, text)


def named(event, attempt, text, word, by, message):
    """Under a given name, in which `{{ default }}` is replaced by the template of the message."""
    if "{{ default }}" not in word:
        return Group((event.event_type, None, f"={word}"), None, word, by, message or "")
    usual = default(event, attempt, text)
    word = word.replace("{{ default }}", usual.template)
    return usual._replace(name=(event.event_type, usual.error_type, f"={word}"), template=word, by=by)


def default(event, attempt, text):
    """By the root cause, or a group's members; by the message, and where that has no word, the place in the code."""
    error_type, message, by = attempt.error_type, attempt.message or "", "the message"
    if attempt.cause:
        by = "the root cause"
        members = sorted({(kind, template(name, kind)) for kind, _, name in
                          (member.partition(": ") for member in attempt.cause.split(MEMBER))})  # fmt: skip
        if len(members) > 1:
            name = "\n".join(f"{kind}: {name}" for kind, name in members)
            return Group((event.event_type, error_type, name), error_type, name, by, attempt.cause)
        ((error_type, name),) = members
        return Group(
            (event.event_type, error_type, name),
            error_type,
            name,
            by,
            attempt.cause.partition(": ")[2],
        )
    name = template(message, error_type)
    if not re.search(r"[^\W\d_]", message) and (place := own_place(text)):
        name, by = f"{name} in {place}", "the place in the code, since the message says nothing"
    return Group((event.event_type, error_type, name), error_type, name, by, message)


def own_place(text):
    """The innermost frame of one's own code."""
    frames = re.findall(r'File "(.+)", line \d+, in (.+)', text or "")
    own = [frame for frame in frames if "site-packages" not in frame[0] and "/lib/python" not in frame[0]] or frames
    return f"{own[-1][1]} ({own[-1][0].rpartition('/')[2]})" if own else None


def group_all(failures, rules, kept, merges=()):
    """The group of each failure, by attempt. Of an event type, the templates whose failures were appended first.

    `merges` are pairs of ids of clusters: those of one are part of the other.
    """
    rules = rules or Rules()
    groups, types = {}, {}
    for event, attempt in sorted(failures, key=lambda failure: failure[1].attempt_id):
        chosen = kept.get(attempt.attempt_id) or group(event, attempt, rules, text=attempt.text)
        known = types.setdefault(event.event_type, Known(event.event_type, rules))
        groups[attempt.attempt_id] = chosen if known.admit(chosen) else overflow(event, rules)
    final = {number: types[chosen.name[0]].final(chosen) for number, chosen in groups.items()}
    return merged(final, [known.classes() for known in types.values()], merges) if merges else final


def merged(groups, classes, merges):
    """The groups after a person's merges; a merge of a cluster that there is no longer has no effect."""
    of, names = {}, {}
    for numbers, named in classes:
        of |= numbers
        names |= named
    into = {}

    def target(number):
        return target(into[number]) if number in into else number

    for one, other in merges:
        if one in of and other in of and target(of[one]) != target(of[other]):
            into[target(of[one])] = target(of[other])

    def final(own):
        number = target(number_of(own.name))
        return own if number == number_of(own.name) else own._replace(**names[number], own_template=own.template)

    return {attempt: final(own) for attempt, own in groups.items()}


class Known:
    """The templates of an event type, and what was learned from them."""

    def __init__(self, event_type, rules):
        self.event_type, self.rules, self.admitted, self.joined, self.texts = event_type, rules, set(), {}, {}
        self.called = {}
        """Of each name, the error type and template that the cluster has if others are merged into it."""

    def admit(self, chosen):
        """Whether a failure has a cluster of its own or one that was learned; if not, it goes to the overflow."""
        _, error_type, name = chosen.name
        if name == OVERFLOW:
            return False
        if chosen.template != ERASED or chosen.name not in self.called:
            learned = chosen.by in ("the message", "the root cause") and "\n" not in chosen.template
            learned = learned and " in check_" not in chosen.template
            self.called[chosen.name] = (chosen.error_type, chosen.template if learned else ERASED)
        texts = self.texts.setdefault(error_type, set())
        learnable = self.rules.variable_after and chosen.by in ("the message", "the root cause") and "\n" not in name
        learnable = learnable and " in check_" not in name
        leaders, slots = self.closure(error_type)
        if chosen.name not in self.admitted | set(self.joined) and plain(name) not in leaders:
            if len(self.admitted) >= self.rules.clusters_per_type:
                fit = [s for s in slots_of(plain(name)) if len(slots.get(s, ())) >= self.rules.variable_after]
                if not fit or not learnable:
                    return False
                self.joined[chosen.name] = leaders[min(slots[fit[0]])]
                return True
            self.admitted.add(chosen.name)
        if learnable and chosen.name in self.admitted:
            texts.add(plain(name))
        return True

    def closure(self, error_type):
        split = {number for number, by in self.rules.splits if by == "<*>"}

        def learned(pattern):
            return number_of((self.event_type, error_type, pattern)) not in split

        return closure(self.texts.get(error_type, ()), self.rules.variable_after, learned)

    def classes(self):
        """The cluster of each id, and what each cluster is called."""
        numbers, names = {}, {}
        for name in [*self.admitted, *self.joined]:
            own = Group(name, *self.called[name], "", "")
            final = self.final(own)
            numbers[number_of(name)] = number_of(final.name)
            names.setdefault(number_of(final.name), {"name": final.name, "error_type": own.error_type,
                                                     "template": final.template})  # fmt: skip
        for error_type in self.texts:
            for pattern, leader in self.closure(error_type)[0].items():
                name = (self.event_type, error_type, leader)
                numbers[number_of((self.event_type, error_type, pattern))] = number_of(name)
                names.setdefault(
                    number_of(name), {"name": name, "error_type": error_type, "template": " ".join(leader)}
                )
        return numbers, names

    def final(self, chosen):
        """A group by the name of the cluster that it became a part of."""
        event_type, error_type, name = chosen.name
        leaders, slots = self.closure(error_type)
        text = self.joined.get(chosen.name, plain(name))
        leader = leaders.get(text, text)
        leader = leaders.get(leader, leader)
        if leader == plain(name) and not any(other != leader for other, of in leaders.items() if of == leader):
            return chosen
        words = {member[i] for i, *slot in slots_of(leader) for member in slots.get((i, *slot), ())
                 if leader[i] == "<*>"} - {"<*>"}  # fmt: skip
        name = chosen.template if ERASED in chosen.template else " ".join(leader)
        return chosen._replace(name=(event_type, error_type, leader), template=name, learned=sorted(words))


def plain(name):
    """The words of a template; all placeholders are the same."""
    return tuple(re.sub(r"<\w+>", "<*>", name).split(" ")) if isinstance(name, str) else name


def slots_of(words):
    """Each position at which the value of a word may vary, with what is before and after it."""
    for i, word in enumerate(words):
        others = words[:i], words[i + 1 :]
        if re.fullmatch(r"[a-z]+|<\*>", word) and sum(other.isalpha() for half in others for other in half) > 1:
            yield i, *others


def closure(texts, enough, learned):
    """Every pattern and the one that its cluster is named by; the patterns of each slot. Some are not learned."""
    patterns, slots = set(texts), {}
    while enough:
        slots = {}
        for pattern in patterns:
            for slot in slots_of(pattern):
                if learned((*slot[1], "<*>", *slot[2])):
                    slots.setdefault(slot, set()).add(pattern)
        general = {(*before, "<*>", *after) for (_, before, after), same in slots.items() if len(same) >= enough}
        if general <= patterns:
            break
        patterns |= general
    leaders = {pattern: pattern for pattern in patterns}
    for same in [same for same in slots.values() if enough and len(same) >= enough] * len(patterns):
        first = max((leaders[pattern] for pattern in same), key=lambda words: words.count("<*>"))
        leaders |= dict.fromkeys(same, first)
    return leaders, slots


def overflow(event, rules):
    """One cluster more, for what belongs to none of the first ones."""
    number = rules.clusters_per_type
    which = f"the first {number:,} cluster{'' if number == 1 else 's'} of this type"
    called = f"{OVERFLOW} failures outside {which}"
    return Group((event.event_type, None, OVERFLOW), None, called, f"clusters_per_type = {number}", "")


def kept_by_erasure(before, after, rules, kept):
    """The clusters that failures stay in although what decided on them was erased between two readings of the facts.

    Those of the erased event, and others' that are in theirs by a traceback that went as well.
    """
    new = dict(kept)
    for event_id, attempts in after.attempts.items():
        event = after.events[event_id]
        was = {attempt.attempt_id: attempt for attempt in before.attempts[event_id]}
        for attempt in attempts:
            if not attempt.failed or attempt.attempt_id in kept:
                continue
            old, lost = was[attempt.attempt_id], attempt.text == ERASED
            if attempt.message == ERASED or (
                lost and old.text != ERASED
                and group(event, old, rules, text=old.text).name != group(event, old, rules, text=ERASED).name
            ):  # fmt: skip
                group_then = Group(
                    old.group.name, attempt.error_type, ERASED, "what it was before it was erased", ERASED
                )
                new[attempt.attempt_id] = group_then
    return new
