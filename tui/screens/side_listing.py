"""A list with a side that shows the item under the cursor, by tab: what is asked, and what is done with the answers."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from failaware.model import Explanation
from failaware.model.patterns import Transitions

from .. import details
from ..columns import Context
from ..details import FAILURE, IMPACT, PAYLOAD, TABS, WHY, Detail, Selection
from ..documents import Line, dim
from ..patterns import drill_downs
from ..routes import ToEvents
from ..widgets.side import Side
from .listing import Listing

_FEW = 20_000  # events; of more, before and after take too long to be read at each change


class SideListing(Listing):
    """Only the tab in sight is asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"tab('{tab}')", tab.capitalize(), show=False) for number, tab in enumerate(TABS, 1)),
        Binding("w", f"tab('{WHY}')", "Why"),
        Binding("i", f"tab('{IMPACT}')", "Impact", show=False),
    ]
    lists = "event"

    def __init__(self, *, cluster_id: int | None, tab: str) -> None:
        super().__init__()
        self.cluster_id = cluster_id
        self.tab = tab
        self.detail: Detail | None = None
        self.attempt_no: int | None = None  # chosen by a key
        self.fold = True
        self._facts: tuple[Explanation, ...] = ()
        self._transitions: Transitions | None = None

    @property
    def side(self) -> Side:
        """The side."""
        return self.query_one(Side)

    def _selection(self) -> Selection | None:
        event_id = self.listed.current_key
        if event_id is None and (self.cluster_id is None or self.tab in {FAILURE, PAYLOAD}):
            return None
        return Selection(event_id, self.cluster_id, self.attempt_no, self.fold)

    def ask_detail(self) -> None:
        """Ask for the tab in sight; a payload once, since it never changes, and what is dear once."""
        reader, selection = self.inspector_app.reader, self._selection()
        reader.forget(self, "detail")
        if selection is None:
            self._forget()
        else:
            ask = details.reading(self.tab, selection)
            (reader.once if self.tab == PAYLOAD else reader.follow)(self, "detail", ask)

    def _forget(self) -> None:
        self.detail = None
        self.side.show_numbers(numbers=False)
        self.side.text.show([])
        self.side.tell("")

    def answered_detail(self, detail: Detail) -> None:  # type: ignore[override]
        """Show it, unless another one has been asked for since."""
        before, wanted = self.detail, self._selection()
        if wanted is None or (detail.tab, detail.selection) != (self.tab, wanted):
            return
        is_other = before is None or (before.tab, before.selection) != (detail.tab, detail.selection)
        self.detail = detail
        self.side.show_numbers(numbers=detail.standing is not None)
        if detail.tab == WHY:
            self._answered_why(detail, before)
        elif detail.standing is not None:
            self._answered_impact(detail, before)
        else:
            self.side.text.show(detail.lines)
        if is_other:
            self.side.text.scroll_home(animate=False)
        self._name_side(detail)

    def _name_side(self, detail: Detail) -> None:
        event, shown, standing = detail.event, detail.attempt, detail.standing
        name = "" if event is None else f"event {event.event_id}"
        name = name if standing is None else f"cluster {str(standing.cluster.cluster_id)[:7]}"
        if event is not None and shown is not None:
            failed = [attempt for attempt in event.attempts if attempt.error_type is not None]
            newest = ", the newest failed one" if failed and shown is failed[-1] and len(event.attempts) > 1 else ""
            name += f" · attempt {shown.attempt_no} of {len(event.attempts)}{newest}"
        self.side.tell(" · ".join(filter(None, (self.side.text.match_place, name))))

    def _answered_why(self, detail: Detail, before: Detail | None) -> None:
        checks = [why.explanation.checks for why in detail.why]
        if before is None or checks != [why.explanation.checks for why in before.why]:
            self._facts = ()
            self.inspector_app.reader.once(self, "facts", details.facts_of(detail))
        self.side.text.show(details.why_lines(detail.why, self._facts))

    def answered_facts(self, facts: tuple[Explanation, ...]) -> None:
        """The facts behind the numbers of an explanation."""
        detail = self.detail
        same = detail is not None and [(f.entity_type, f.entity_id) for f in facts] == [
            (why.explanation.entity_type, why.explanation.entity_id) for why in detail.why
        ]
        if detail is not None and same and self.tab == WHY:
            self._facts = facts
            self.side.text.show(details.why_lines(detail.why, facts))

    def _answered_impact(self, detail: Detail, before: Detail | None) -> None:
        standing = detail.standing
        if standing is None:
            return
        known = before.standing if before is not None else None
        is_other = known is None or known.cluster.cluster_id != standing.cluster.cluster_id
        if is_other:
            self._transitions = None
        if is_other or (known is not None and known.cluster != standing.cluster and standing.cluster.events <= _FEW):
            self.ask_transitions(standing.cluster.cluster_id)
        self._show_numbers()

    def ask_transitions(self, cluster_id: int) -> None:
        """Ask what came before and after a cluster."""
        self.inspector_app.reader.once(
            self, "transitions", lambda inspector: inspector.patterns.transitions(cluster_id)
        )

    def answered_transitions(self, transitions: Transitions) -> None:
        """What came before and after a cluster."""
        standing = self.detail.standing if self.detail else None
        if standing is not None and standing.cluster.cluster_id == transitions.cluster_id:
            self._transitions = transitions
            self._show_numbers()

    def _show_numbers(self) -> None:
        standing = self.detail.standing if self.detail else None
        if standing is not None:
            self.side.window.hold(drill_downs(standing.impact, self._transitions))
            self.side.numbers.show(Context(standing.now, {}))

    def _pass_time(self, now: int) -> None:
        """An age among the numbers grows."""
        if self.detail is not None and self.detail.standing is not None:
            self.detail = self.detail._replace(standing=self.detail.standing.at(now))
            self._show_numbers()

    def forget_detail(self) -> None:
        """There is no item: ask for what remains, that of the cluster."""
        self.ask_detail()

    def troubled(self, name: str, problem: str) -> None:
        """There is no such event."""
        if name == "detail":
            self._forget()
            self.side.text.show([Line(problem, dim)])
        else:
            super().troubled(name, problem)

    def select(self) -> None:
        """Another event: its attempts are others."""
        self.attempt_no = None
        self.ask_detail()
        self.tell_state()

    def show_tab(self, tab: str) -> None:
        """Show this tab."""
        self.tab = tab
        self.remove_class("-no-detail")
        self.side.name_tabs(tab)
        self.ask_detail()
        self.tell_state()

    def action_tab(self, tab: str) -> None:
        """Show this tab; the key of the one that is shown leads back to the failure."""
        self.show_tab(FAILURE if tab == self.tab else tab)

    def on_side_chosen(self, message: Side.Chosen) -> None:
        """The name of a tab was clicked."""
        self.show_tab(message.tab)

    def on_side_opened(self, message: Side.Opened) -> None:
        """Exactly the events that a number counts, or the other cluster."""
        drill_down, standing = message.drill_down, self.detail.standing if self.detail else None
        if drill_down.cluster_id is not None and standing is not None:
            route = ToEvents(cluster_id=drill_down.cluster_id, event_type=standing.cluster.event_type)
            self.lead_to(route)
        elif drill_down.where:
            self.lead_to(ToEvents(where=drill_down.where))
        else:
            self.notify("This number has no events to show.", timeout=2, markup=False)
