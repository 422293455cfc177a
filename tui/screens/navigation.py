"""Keys of every screen that lead somewhere: search in texts, go to an id, zoom, open what a line names."""

from contextlib import suppress
from typing import ClassVar

from textual.binding import Binding, BindingType

from failaware.errors import FilterError, NotFound
from failaware.model import Cluster
from failaware.read.inspector import Inspector
from failaware.text import one_line

from ..routes import Route, ToChanges, ToDue, ToEvents, ToRecovered
from ..store_reader import Ask
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from .asking import AskingScreen
from .prompt import PromptScreen

_PLACES: dict[str, Route] = {"events": ToEvents(), "due": ToDue(), "recovered": ToRecovered()}
_WORDS = ("event ", "cluster ", *_PLACES, "changes", "help", "quit")


class NavigationScreen(AskingScreen):
    """A screen whose texts can be searched, and from which one can go to any event or cluster."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "match(1)", "Next match", show=False),
        Binding("N", "match(-1)", "Previous match", show=False),
        Binding("z", "zoom", "Zoom", show=False),
        Binding("colon", "go_to", "Go to", show=False, key_display=":"),
        Binding("e", "place('events')", "Events"),
        Binding("d", "place('due')", "Due retries", show=False),
        Binding("H", "place('recovered')", "Recovered", show=False),
    ]
    is_place: str = ""
    """The name of the place that this screen is."""
    ALLOW_IN_MAXIMIZED_VIEW = "#top, #trouble, #time, #key-line"

    def on_text_view_search_asked(self, message: TextView.SearchAsked) -> None:
        """Type what to search for in a text."""
        view = message.view

        def search(needle: str | None) -> None:
            if needle and not view.search(needle):
                self.notify(f"'{one_line(needle, 40)}' is not in this text.", timeout=2, markup=False)

        self.app.push_screen(PromptScreen("search this text", before=self.inspector_app.searches), search)

    def action_match(self, way: int) -> None:
        """The next match in the text that was searched."""
        views = [view for view in self.query(TextView) if view.is_searched]
        view = next((view for view in views if view.has_focus), views[0] if views else None)
        if view is None:
            self.notify("No text is searched: go to one (Tab) and press /.", timeout=2, markup=False)
        else:
            view.action_next_match(way)

    def action_zoom(self) -> None:
        """Only the pane with the focus; or all again."""
        pane = self.focused if isinstance(self.focused, Rows | TextView) else next(iter(self.query(Rows)), None)
        if self.maximized is not None:
            self.minimize()
        elif pane is not None:
            self.maximize(pane)

    def place(self, name: str) -> Route:
        """What a name of a place leads to."""
        return _PLACES[name]

    def action_place(self, name: str) -> None:
        """Open a screen that is about all of the store, unless this is it."""
        if name != self.is_place:
            self.lead_to(self.place(name))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key leads to where one is."""
        here = action == "place" and parameters == (self.is_place,)
        return False if here else super().check_action(action, parameters)

    def action_go_to(self) -> None:
        """Type where to go."""
        prompt = PromptScreen(f"{self._event} · cluster 4195 · " + " · ".join(_WORDS[2:]), words=_WORDS)
        self.app.push_screen(prompt, self._go_to)

    @property
    def _event(self) -> str:
        """How one goes to an event."""
        return "event 42@" + next(iter(self.inspector_app.places)) if self.inspector_app.has_several else "event 42"

    def _go_to(self, words: str | None) -> None:
        kind, _, number = (words or "").partition(" ")
        if kind.partition("@")[0].isdigit():
            kind, number = "", kind
        if kind in {"", "event", "cluster"} and number.strip().partition("@")[0].isdigit():
            self.go_to(kind, number.strip())
        elif kind in _PLACES:
            self.action_place(kind)
        elif kind == "changes":
            self.lead_to(ToChanges(self.inspector_app.last_look))
        elif kind in {"help", "quit"}:
            self.call_later(self.app.run_action, "keys" if kind == "help" else "quit")
        elif words:
            self.notify(f"'{one_line(words, 40)}' is no place. Type {self._event} or cluster 4195.", markup=False)

    def go_to(self, kind: str, number: str) -> None:
        """Open an event, that of an attempt, or a cluster by the first digits of its id; if there is none, say so.

        Without a kind, the event or, if there is none, the cluster.
        """
        self.inspector_app.reader.once(self, "target", _target(kind, number) if kind else _event_or_cluster(number))

    def answered_target(self, target: Cluster | int) -> None:
        """There is one."""
        if isinstance(target, int):
            self.lead_to(ToEvents(where=f"id:{target}"))
        else:
            self.lead_to(ToEvents(cluster_id=target.cluster_id, event_type=target.event_type))

    def on_text_view_opened(self, message: TextView.Opened) -> None:
        """A line that names an event or a cluster."""
        self.go_to(message.names[0], str(message.names[1]))


def _target(kind: str, number: str) -> Ask:
    def ask(inspector: Inspector) -> Cluster | int:
        if kind == "cluster":
            return inspector.cluster(number)
        fact = inspector.id_of(number)
        return inspector.attempt(fact).event_id if kind == "attempt" else inspector.event(fact).event_id

    return ask


def _event_or_cluster(number: str) -> Ask:
    def ask(inspector: Inspector) -> Cluster | int:
        with suppress(FilterError, NotFound):  # in several stores, the number of an event needs its store
            return inspector.event(inspector.id_of(number)).event_id
        try:
            return inspector.cluster(number)
        except NotFound as error:
            raise NotFound(f"there is no event {number}, and {error}") from None

    return ask
