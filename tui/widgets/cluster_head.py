"""The head of a cluster's list: what failed, how much of it, since when and how it goes.

Lines are cut, not wrapped, except what to do next.
"""

from failaware.model import Cluster
from failaware.model.patterns import Trend
from failaware.text import cells, counted, cut, distance, one_line, sparkline

from .. import preview
from ..columns import clock_time, failure_name, recovery_rate
from ..documents import Part
from ..palette import symbol
from .lines import StyledText

_LONG = 600  # cells; more than any terminal shows
_LOW = 22  # lines of the terminal, below which the traceback needs the line of the next step


class ClusterHead(StyledText):
    """Four lines, or five; terminals of few lines show four, or two."""

    def tell(self, cluster: Cluster, trend: Trend | None, values: dict[str, str], now: int) -> None:
        """The cluster as it is now (µs), and the masked values that are the same in all events in sight."""
        width = max(self.content_size.width, 20)
        lines = [fitting(_name(cluster), width), fitting(_counts(cluster, now), width)]
        if self.app.size.height >= _LOW:
            lines += [_next(cluster), fitting(_trend(trend, values), width)]
        parts = [part for line in lines for part in (*line, ("\n", ""))]
        self.say(parts[:-1])


def fitting(parts: list[Part], width: int) -> list[Part]:
    """The parts, joined by dots, that fit; the first one is cut."""
    shown = [(cut(parts[0][0], width), parts[0][1])]
    used = cells(shown[0][0])
    for text, meaning in parts[1:]:
        used += cells(text) + 3
        if used > width:
            break
        shown += [(" · ", "dim"), (text, meaning)]
    return shown


def _name(cluster: Cluster) -> list[Part]:
    severity = f"{symbol(cluster.severity)}  " if cluster.severity else ""
    return [(f"{severity}{one_line(failure_name(cluster), _LONG)}", cluster.severity or "strong")]


def _counts(cluster: Cluster, now: int) -> list[Part]:
    parts: list[Part] = [(preview.standing(cluster), "")]
    parts.append((f"since {clock_time(cluster.first_failed_at, now)}", ""))
    parts.append((f"{recovery_rate(cluster)} recovered", "SYNCED" if cluster.recovered else "dim"))
    parts.append((f"last {distance(cluster.last_failed_at, now)}", ""))
    if cluster.episodes > 1:
        parts.append((counted(cluster.episodes, "episode"), "dim"))
    if cluster.relapses:
        parts.append((counted(cluster.relapses, "relapse"), "dim"))
    return parts


def _next(cluster: Cluster) -> list[Part]:
    step = preview.next_step(cluster, in_list=False)
    return [(f"next step: {step}", "mark" if cluster.dead else "")]


def _trend(trend: Trend | None, values: dict[str, str]) -> list[Part]:
    rising = trend is not None and trend.change is not None
    parts: list[Part] = [(preview.trend_words(trend), "mark" if rising else "")]
    if trend is not None:
        parts.append((f"24 h {sparkline(trend.hours)}", "dim"))
    return parts + [(f"{name} {value}", "dim") for name, value in values.items()]
