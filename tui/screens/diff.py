"""What changed since one last looked, or since an hour, a day, a week ago."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.widget import Widget

from failaware.model import HOUR
from failaware.model.differences import Changed, Diff
from failaware.read.diff import CHANGES
from failaware.read.inspector import Inspector
from failaware.text import counted, moment, one_line, when

from ..documents import Line, dim, plain, strong, styled, timed
from ..palette import short_symbol
from ..store_reader import Ask
from ..widgets.text_view import TextView
from .kept import KeptScreen

_LISTED = 200
_MEANING = {
    "new": ("FAILED", "failed for the first time"),
    "back": ("FAILED", "had been resolved, unresolved again"),
    "worse": ("FAILED", "severity rose"),
    "better": ("SYNCED", "severity fell"),
    "gone": ("SYNCED", "no longer unresolved"),
}


class Period(NamedTuple):
    """How far back to look: so many µs, or to a moment."""

    name: str
    ago: int = 0
    since: int | None = None

    def begin(self, now: int) -> int:
        """The moment to compare with."""
        return now - self.ago if self.since is None else self.since


def periods(last_look: int | None) -> list[Period]:
    """What one can choose from, what is asked first at the beginning."""
    fixed = [Period("a day ago", 24 * HOUR), Period("a week ago", 168 * HOUR), Period("an hour ago", HOUR)]
    return fixed if last_look is None else [Period("you last looked", since=last_look), *fixed]


class DiffScreen(KeptScreen):
    """Changes over a period; every answer replays the facts."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("D", "other_period", "Other period")]
    crumb = "what changed"

    def __init__(self, since: int | None) -> None:
        super().__init__()
        self._periods = periods(since)

    def body(self) -> Iterator[Widget]:
        """One text."""
        yield TextView(id="why")

    def on_mount(self) -> None:
        """Ready for the keys that scroll."""
        self.query_one(TextView).focus()

    @property
    def about(self) -> Period:
        """The period."""
        return self._periods[0]

    def questions(self) -> dict[str, Ask]:
        """What changed."""
        period = self.about

        def ask(inspector: Inspector) -> list[Line]:
            now = inspector.now()
            with inspector.as_of(min(period.begin(now), now), progress=self.progress_of("list")) as then:
                return lines(then.diff(now, limit=_LISTED), now)

        return {"list": ask}

    def action_again(self) -> None:
        """Replay, and say so."""
        view = self.query_one(TextView)
        view.say_above(self._title)
        view.say_below("replaying …")
        super().action_again()

    def progressed(self, _name: str, share: float) -> None:
        """It takes a while."""
        self.query_one(TextView).say_below(f"replaying {share:.0%} …")

    @property
    def _title(self) -> str:
        return f"What changed since {self.about.name}"

    def show_answer(self, answer: list[Line]) -> None:
        """Show it."""
        view = self.query_one(TextView)
        view.say_above(self._title)
        at = "" if self.kept is None else moment(self.kept.now)[11:19]
        view.say_below(f"read at {at} · r refreshes · D: since {self._periods[1].name}")
        view.show(answer)

    def action_other_period(self) -> None:
        """Further back, or nearer."""
        self._periods = self._periods[1:] + self._periods[:1]
        self.ask()

    def copies(self) -> dict[str, tuple[str, str]]:
        """The whole text."""
        return {"d": ("what changed", "\n".join(line.text for line in self.query_one(TextView).lines))}


def lines(diff: Diff, now: int) -> list[Line]:
    """The numbers then and now, and each cluster and event that is not as it was."""
    text = timed(lambda at: f"from {when(diff.since, at)} to {when(diff.until, at)}", now, dim)
    text.append(Line("", plain))
    for name, of, before, after in diff.numbers():
        change = f"{after - before:+,}" if after != before else "·"
        text.append(
            Line(
                f"  {f'{name} {of}':<17} {before:>9,} → {after:>9,} {change:>9}",
                styled(name) if after != before else dim,
            )
        )
    for kind, changed in (("cluster", diff.clusters), ("event", diff.events)):
        text += _changes(kind, changed, diff.counts[kind])
    if not diff.clusters and not diff.events:
        text += [Line("", plain), Line("Nothing that failed has changed.", styled("SYNCED"))]
    return text


def _changes(kind: str, changed: tuple[Changed, ...], counts: dict[str, int]) -> Iterator[Line]:
    for change in CHANGES:
        listed = [one for one in changed if one.change == change]
        if counts[change]:
            meaning, words = _MEANING[change]
            yield Line("", plain)
            yield Line(f"{counted(counts[change], kind)} {change}: {words}", strong)
            for one in listed:
                severities = short_symbol(one.after)
                if one.before != one.after and change != "new":
                    severities = f"{short_symbol(one.before)} → {severities}"
                name = str(one.entity_id)[:8] if kind == "cluster" else str(one.entity_id)
                text = f"  {severities:<17} {kind} {name}  {one.how}  {one_line(one.title, 200)}"
                yield Line(text, styled(meaning), names=(kind, one.entity_id))
            if counts[change] > len(listed):
                yield Line(f"  and {counts[change] - len(listed):,} more: failaware diff", dim)
