"""`make soak`: all parts, one after the other, for SOAK_MINUTES in all; prints what was tried, and what was lost."""

import importlib
import os
import pkgutil
import random
import sys
import time

from rich.console import Console
from rich.table import Table

from tests import soak

NO_PARTS = {"__main__", "actors"}


def parts():
    """The names of the modules that can be run."""
    return sorted(module.name for module in pkgutil.iter_modules(soak.__path__) if module.name not in NO_PARTS)


def main(minutes, seed):
    """Run each part for its share of the time; the exit status is 1 when a promise broke or a fact was lost."""
    names, counts, broken = parts(), {}, []
    print(f"{len(names)} parts ({', '.join(names)}), {minutes:g} minutes, SOAK_SEED={seed}", flush=True)
    for name in names:
        began = time.monotonic()
        try:
            part = importlib.import_module(f"tests.soak.{name}")
            counts[name] = part.run(60 * minutes / len(names), random.Random(f"{seed}:{name}"))
        except Exception:
            Console(stderr=True).print_exception()
            broken.append(name)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    Console().print(_table(counts, broken))
    return bool(broken) or any(each.get("lost") for each in counts.values())


def _table(counts, broken):
    table = Table("part", "tried", "facts acknowledged", "facts lost")
    for name, each in counts.items():
        tried = [f"{value:,} {what}" for what, value in each.items() if what not in {"acknowledged", "lost"}]
        table.add_row(name, "\n".join(tried), f"{each.get('acknowledged', 0):,}", f"{each.get('lost', 0):,}")
    for name in broken:
        table.add_row(name, "BROKEN: see above", "", "")
    acknowledged, lost = (sum(each.get(what, 0) for each in counts.values()) for what in ("acknowledged", "lost"))
    table.add_section()
    table.add_row("all", "", f"{acknowledged:,}", f"{lost:,}")
    return table


if __name__ == "__main__":
    sys.exit(main(float(os.environ.get("SOAK_MINUTES", "30")), os.environ.get("SOAK_SEED", str(os.getpid()))))
