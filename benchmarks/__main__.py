"""Measures every goal of docs/performance.md against the hand-written minimum and other queues, and prints tables.

`python -m benchmarks` takes a few minutes; `--large` grows the store to 10,000,000 attempts, which takes much longer.
Compared systems alternate within a run, and medians are printed: absolute figures drift, ratios are stable.
"""

import argparse
import sys
import time

from benchmarks import comparison, growing, recording, starting, working
from benchmarks.table import show

PARTS = ("compare", "record", "work", "grow", "start", "postgres")


def note(label, figures):
    """Print figures to standard error while the rest still runs."""
    text = "  ".join(
        f"{name} {value:,.2f}" if value < 100 else f"{name} {value:,.0f}" for name, value in figures.items()
    )
    sys.stderr.write(f"{label:<28}{text}\n")


def main():
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--large", action="store_true", help="grow to 10,000,000 attempts, not 1,000,000")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each comparison (default 3)")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"there is no part '{min(unknown)}'; parts are {', '.join(PARTS)}")
    began, compared, lines = time.monotonic(), [], []
    for part in args.parts or PARTS:
        if part == "compare":
            compared = list(comparison.rows(args.rounds, note))
        elif part == "record":
            lines += recording.lines(args.rounds, note, 1_000_000)
        elif part == "work":
            lines += working.lines(note)
        elif part == "grow":
            lines += growing.lines(args.rounds, note, 10_000_000 if args.large else 1_000_000)
        elif part == "postgres":
            from benchmarks import on_postgres, postgres_clients  # need a server and the other queues' drivers

            lines += [*on_postgres.lines(args.rounds, note), *postgres_clients.lines(args.rounds, note)]
        else:
            lines += starting.lines(args.rounds, note)
    if compared:
        print(comparison.show(compared))
    if lines:
        print(show(sorted(lines, key=lambda line: line.goal)))
    print(f"{time.monotonic() - began:,.0f} s")


if __name__ == "__main__":
    main()
