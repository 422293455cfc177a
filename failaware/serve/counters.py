"""What the receiver has received, recorded, skipped and refused, by protocol, and as OpenMetrics text."""

from collections import Counter
from typing import NamedTuple

PROTOCOLS = ("sentry", "otlp", "lines", "cloudevents", "other")
"""`other` are requests to a path that does not exist."""

_METRICS = (
    ("received", "requests received"),
    ("recorded", "events that are on disk, also those that were recorded before and are known by their key"),
    ("skipped", "entries that are not failures"),
    ("rejected", "entries that could not be read; kept as rejects"),
    ("refused", "requests refused"),
)


class Counters(NamedTuple):
    """Counts by metric and protocol."""

    counts: Counter[tuple[str, str]]

    @classmethod
    def zero(cls) -> "Counters":
        """All of them zero."""
        return cls(Counter({(name, protocol): 0 for name, _ in _METRICS for protocol in PROTOCOLS}))

    def add(self, protocol: str, **counts: int) -> None:
        """Add to counts of a protocol, by the name of the metric."""
        for name, count in counts.items():
            self.counts[name, protocol] += count

    def of(self, name: str) -> int:
        """The count of a metric over all protocols."""
        return sum(self.counts[name, protocol] for protocol in PROTOCOLS)

    def open_metrics(self) -> str:
        """All counts as OpenMetrics text."""
        lines = []
        for name, meaning in _METRICS:
            lines += [f"# TYPE failaware_{name} counter", f"# HELP failaware_{name} {meaning}"]
            lines += [
                f'failaware_{name}_total{{protocol="{protocol}"}} {self.counts[name, protocol]}'
                for protocol in PROTOCOLS
            ]
        return "\n".join([*lines, "# EOF", ""])
