"""Runs every part for its share of the time, and prints what was tried and what was lost: `make soak`."""

import argparse
import importlib
import random
import sys
import time
import traceback
from collections import Counter
from contextlib import suppress
from importlib.util import find_spec

PARTS = {  # and the share of the time that each gets
    "kills": 6,
    "power": 5,
    "faults": 4,
    "contention": 2,
    "corruption": 5,
    "hostile": 3,
    "fuzz": 3,
    "structure": 1,
    "storm": 2,
    "oracle": 2,
    "crashes": 3,
}
_COLUMNS = ("facts acknowledged", "facts lost")


def main():
    """Run them; exit status 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long all of it may take (default 30)")
    parser.add_argument("--seed", type=int, default=None, help="try again what failed")
    parser.add_argument("parts", nargs="*", help=f"only these: {', '.join(PARTS)}")
    args = parser.parse_args()
    parts = [part for part in args.parts or PARTS if find_spec(f"tests.soak.{part}")]
    seed = random.randrange(10**9) if args.seed is None else args.seed
    shares = sum(PARTS[part] for part in parts)
    rows, failed = [], []
    for part in parts:
        seconds = args.minutes * 60 * PARTS[part] / shares
        sys.stderr.write(f"{part}, {seconds:,.0f} s\n")
        began, counts = time.monotonic(), Counter()
        try:
            counts = importlib.import_module(f"tests.soak.{part}").run(seconds, random.Random(f"{seed} {part}"))
        except Exception:
            failed.append(part)
            traceback.print_exc()
        rows.append((part, time.monotonic() - began, counts))
    show(rows, failed)
    print(f"seed {seed}")
    sys.exit(bool(failed))


def show(rows, failed):
    """The table."""
    print(f"{'part':<12}{'time':>8}  {'tried':<60}{'acknowledged':>14}{'lost':>6}")
    total = Counter()
    for part, took, counts in rows:
        tried = ", ".join(f"{count:,} {name}" for name, count in counts.items() if name not in _COLUMNS and count)
        acknowledged, lost = (counts[name] for name in _COLUMNS)
        summary = "FAILED" if part in failed else f"{acknowledged:>14,}{lost:>6,}"
        print(f"{part:<12}{took:>6,.0f} s  {tried:<60}{summary}")
        total += counts
    print(f"{'all':<12}{'':>8}  {'':<60}{total['facts acknowledged']:>14,}{total['facts lost']:>6,}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
