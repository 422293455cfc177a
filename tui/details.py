"""What the side of a list shows, by tab: read from the store as text. Runs on the reader's thread; no widget."""

from collections.abc import Callable
from typing import NamedTuple

from failaware.errors import NotFound
from failaware.model import HOUR, Attempt, Cluster, EventDetail, Explanation
from failaware.model.differences import Correction
from failaware.model.patterns import Impact
from failaware.read.inspector import Inspector

from . import documents, event_texts
from .documents import Line, dim, plain

FAILURE, PAYLOAD, WHY, IMPACT, HISTORY = "failure", "payload", "why", "impact", "history"
TABS = (FAILURE, PAYLOAD, WHY, IMPACT, HISTORY)
_HISTORY = 14 * 24 * HOUR  # how far back a cluster's failures are counted by day


class Selection(NamedTuple):
    """The event under the cursor, and how it is shown; `cluster_id` is the cluster that the whole list is about."""

    event_id: int | None
    cluster_id: int | None
    attempt_no: int | None = None
    fold: bool = True


class Standing(NamedTuple):
    """A cluster now, and its five figures."""

    cluster: Cluster
    impact: Impact
    now: int

    def at(self, now: int) -> "Standing":
        """The same at another time (µs), if nothing happens until then."""
        age = self.impact.oldest_age
        if age.value is not None:
            age = age._replace(value=max(age.value + now - self.now, 0))
        return self._replace(impact=self.impact._replace(oldest_age=age), now=now)


class Why(NamedTuple):
    """An explanation, and for a cluster what it explains."""

    explanation: Explanation
    cluster: Cluster | None


class Detail(NamedTuple):
    """An answer for a tab: text, or for the impact its figures. `event` and `attempt` are what can be copied."""

    tab: str
    selection: Selection
    lines: list[Line]
    event: EventDetail | None = None
    attempt: Attempt | None = None
    standing: Standing | None = None
    why: tuple[Why, ...] = ()


def reading(tab: str, selection: Selection) -> Callable[[Inspector], Detail]:
    """What to ask for a tab."""

    def ask(inspector: Inspector) -> Detail:
        with inspector.snapshot():
            event = None if selection.event_id is None else inspector.event(selection.event_id)
            return _READ[tab](inspector, Detail(tab, selection, [], event))

    return ask


def _failure(inspector: Inspector, detail: Detail) -> Detail:
    event, selection = detail.event, detail.selection
    if event is None:
        return detail
    shown = event_texts.chosen(event.attempts, selection.cluster_id, selection.attempt_no)
    lines = event_texts.failure(event, shown, inspector.now(), fold=selection.fold)
    return detail._replace(lines=lines, attempt=shown)


def _payload(_inspector: Inspector, detail: Detail) -> Detail:
    return detail if detail.event is None else detail._replace(lines=documents.payload(detail.event.event_payload))


def entities(detail: Detail) -> list[tuple[str, int]]:
    """What is explained: the cluster of the list and the event, or the event and its cluster."""
    event = [] if detail.event is None else [("event", detail.event.event_id)]
    if detail.selection.cluster_id is not None:
        return [("cluster", detail.selection.cluster_id), *event]
    return event + [("cluster", cluster_id) for cluster_id in [cluster_of(detail)] if cluster_id is not None]


def cluster_of(detail: Detail) -> int | None:
    """The cluster of the list, else that of the event."""
    event = detail.event
    return detail.selection.cluster_id or (None if event is None else event.cluster_id)


def _why(inspector: Inspector, detail: Detail) -> Detail:
    explained = tuple(
        Why(inspector.explain(f"{kind}/{number}"), inspector.cluster(number) if kind == "cluster" else None)
        for kind, number in entities(detail)
    )
    return detail._replace(lines=why_lines(explained, ()), why=explained)


def why_lines(explained: tuple[Why, ...], facts: tuple[Explanation, ...]) -> list[Line]:
    """The explanations one below the other, with the facts behind their numbers, if these are known."""
    lines: list[Line] = []
    for at, (explanation, cluster) in enumerate(explained):
        behind = facts[at] if at < len(facts) else explanation
        lines += [Line("", plain), Line("", plain)] if lines else []
        lines += documents.why(explanation._replace(behind=behind.behind, since=behind.since), cluster)
    return lines


def facts_of(detail: Detail) -> Callable[[Inspector], tuple[Explanation, ...]]:
    """Asks for the facts behind the numbers, which takes longer."""
    explained = entities(detail)
    return lambda inspector: tuple(inspector.explain(f"{kind}/{number}", facts=True) for kind, number in explained)


def _impact(inspector: Inspector, detail: Detail) -> Detail:
    cluster_id = cluster_of(detail)
    if cluster_id is None:
        return detail._replace(lines=[Line("It has no cluster: it never failed.", dim)])
    standing = Standing(inspector.cluster(cluster_id), inspector.patterns.impact(cluster_id), inspector.now())
    return detail._replace(standing=standing)


def _history(inspector: Inspector, detail: Detail) -> Detail:
    now, cluster_id, lines = inspector.now(), cluster_of(detail), detail.lines
    if detail.event is not None:
        runs = inspector.patterns.runs(detail.event.event_id)
        lines = event_texts.history(detail.event, runs, now)
    if cluster_id is not None:
        hours = inspector.patterns.timeline(since=max(now - _HISTORY, 0), cluster_id=cluster_id)
        lines += [Line("", plain)] if lines else []
        cluster = inspector.cluster(cluster_id)
        lines += event_texts.cluster_history(cluster, hours, corrections_of(inspector, cluster.cluster_id), now)
    return detail._replace(lines=lines)


def corrections_of(inspector: Inspector, cluster_id: int) -> list[Correction]:
    """The newest merges and splits that concern a cluster, and what undid them, newest first."""
    grouped = inspector.explain(f"cluster/{cluster_id}").grouped
    ids = {cluster_id, None if grouped is None else grouped.split_of} - {None}

    def is_of(number: int | None) -> bool:
        try:
            return number in ids or (number is not None and inspector.cluster(number).cluster_id in ids)
        except NotFound:  # it was split, or merged in another store
            return False

    newest = inspector.patterns.corrections()
    of_it = {each.correction_id for each in newest if is_of(each.cluster_id) or is_of(each.into_cluster)}
    return [each for each in newest if each.correction_id in of_it or each.undoes in of_it]


_READ = {FAILURE: _failure, PAYLOAD: _payload, WHY: _why, IMPACT: _impact, HISTORY: _history}
