"""Measures grouping accuracy, compared with simpler methods: `python -m benchmarks.grouping [CORPUS.csv[.gz] ...]`.

A corpus has the columns family, label, type and message (or EventId and Content, as the LogHub samples). Without
one the project's own families are used. GA is the share of messages whose group equals the labeled one; FGA is the
harmonic mean of precision and recall over whole groups; apart is the share of look-alike pairs with no group in common.
Definitions: Jiang et al., "A Large-Scale Evaluation for Log Parsing Techniques", ISSTA 2024.
"""

import csv
import gzip
import io
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from failaware import Store
from failaware.derive.grouping import fingerprint
from failaware.derive.grouping.groups import GroupingRules
from failaware.facts import append
from failaware.model import Failure, NewAttempt
from tests.derive.families import Sample, raised, written
from tests.derive.observed import observed

Grouping = Callable[[Sequence[Sample]], list[Hashable]]


class Score(NamedTuple):
    """Shares from 0 to 1; see the module docstring."""

    ga: float
    fga: float
    apart: float


def score(samples: Sequence[Sample], groups: Sequence[Hashable]) -> Score:
    """Compare the groups of samples, one per sample, with their labels."""
    labeled, grouped = defaultdict(set), defaultdict(set)
    for index, (sample, group) in enumerate(zip(samples, groups, strict=True)):
        labeled[sample.label].add(index)
        grouped[group].add(index)
    exact = [members for members in grouped.values() if members == labeled[samples[next(iter(members))].label]]
    groups_of, labels_of = defaultdict(set), defaultdict(set)
    for sample, group in zip(samples, groups, strict=True):
        groups_of[sample.label].add(group)
        labels_of[sample.family].add(sample.label)
    pairs = [pair for labels in labels_of.values() for pair in combinations(sorted(labels), 2)]
    apart = sum(not groups_of[one] & groups_of[other] for one, other in pairs)
    return Score(
        sum(map(len, exact)) / len(samples), 2 * len(exact) / (len(grouped) + len(labeled)), apart / (len(pairs) or 1)
    )


def by_fingerprint(samples: Iterable[Sample]) -> list[Hashable]:
    """Group by failaware's fingerprint: error type and template."""
    for function in vars(fingerprint).values():  # each run starts with empty caches
        if hasattr(function, "cache_clear"):
            function.cache_clear()
    return [(sample.error_type, fingerprint.template(sample.message, sample.error_type)) for sample in samples]


def by_cluster(samples: Iterable[Sample]) -> list[Hashable]:
    """Group as a store does: by fingerprint, and by the variables that are learned from all of them."""
    samples = list(samples)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store.db", synchronous="NORMAL") as store:
        store.rebuild(grouping=GroupingRules.from_toml(f"clusters_per_type = {len(samples)}"))
        events = store.record_many(("sample", None) for _ in samples)
        attempts = [
            NewAttempt(event.event_id, Failure(sample.error_type or "E", sample.message, None), "w", 0, 0, None, None)
            for event, sample in zip(events, samples, strict=True)
        ]
        store.session.write(lambda db: append.attempts(db, attempts, store.session.policy))
        rows = store.session.read(lambda db: db.query("SELECT cluster_id FROM failure ORDER BY attempt_id"))
    return [cluster_id for (cluster_id,) in rows]


def _by_text(samples: Iterable[Sample]) -> list[Hashable]:
    return [(sample.error_type, sample.message) for sample in samples]


def _by_digits(samples: Iterable[Sample]) -> list[Hashable]:
    return [(sample.error_type, re.sub(r"\d+", "#", sample.message)) for sample in samples]


def _by_drain(samples: Iterable[Sample]) -> list[Hashable]:
    from drain3 import TemplateMiner
    from drain3.template_miner_config import TemplateMinerConfig

    miner = TemplateMiner(config=TemplateMinerConfig())
    return [(s.error_type, miner.add_log_message(s.message.replace("\n", " "))["cluster_id"]) for s in samples]


PEERS: dict[str, Grouping] = {
    "failaware": by_fingerprint,
    "in a store": by_cluster,
    "same text": _by_text,
    "digits masked": _by_digits,
    "Drain3": _by_drain,
}


def _read(path: Path) -> list[Sample]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    if "EventId" in rows[0]:
        return [Sample(path.name, row["EventId"], None, row["Content"]) for row in rows]
    return [Sample(row["family"], row["label"], row["type"] or None, row["message"]) for row in rows]


def _measured(samples: Sequence[Sample], grouping: Grouping) -> str:
    quickest = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        groups = grouping(samples)
        quickest = min(quickest, time.perf_counter() - began)
    ga, fga, apart = score(samples, groups)
    return f"{ga:6.3f} {fga:6.3f} {apart:6.3f} {len(samples) / quickest:12,.0f}"


def main(paths: Sequence[str]) -> None:
    """Print a line for each corpus and method."""
    corpora = {Path(path).name: _read(Path(path)) for path in paths} or {
        "families, written": list(written()),
        "families, raised": list(raised()),
        "families, observed": list(observed()),
    }
    print(f"{'corpus':<26} {'grouping':<14} {'GA':>6} {'FGA':>6} {'apart':>6} {'messages/s':>12}")
    for name, samples in corpora.items():
        for peer, grouping in PEERS.items():
            try:
                print(f"{name[:26]:<26} {peer:<14} {_measured(samples, grouping)}", flush=True)
            except ImportError as missing:
                print(f"{name[:26]:<26} {peer:<14} skipped: {missing}")


if __name__ == "__main__":
    main(sys.argv[1:])
