"""The table of goals: the measured value, the bound, and whether it is met."""

from typing import NamedTuple


class Line(NamedTuple):
    """One goal. `bound` is the smallest allowed value, or with `most` the largest. `measured` may be None."""

    goal: int
    label: str
    measured: float | None
    bound: float
    unit: str = "×"
    most: bool = False

    @property
    def verdict(self):
        """Met, missed, or not measured."""
        if self.measured is None:
            return "not measured"
        return "met" if (self.measured <= self.bound if self.most else self.measured >= self.bound) else "missed"


def show(lines):
    """The table as text."""
    rows = [("goal", "what", "measured", "bound", "verdict")]
    for line in lines:
        sign = "≤" if line.most else "≥"
        measured = "–" if line.measured is None else f"{_number(line.measured)} {line.unit}"
        rows.append((str(line.goal), line.label, measured, f"{sign} {_number(line.bound)} {line.unit}", line.verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    text = []
    for row in rows:
        cells = [row[0].rjust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]), row[3].rjust(widths[3])]
        text.append("  ".join((*cells, row[4])))
    met = sum(line.verdict == "met" for line in lines)
    return "\n".join((*text, f"{met} of {sum(line.measured is not None for line in lines)} measured goals met"))


def _number(value):
    if value == 0 or value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"
