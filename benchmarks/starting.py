"""Goal 7: start-up time."""

import os
import pty
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.table import Line
from benchmarks.workloads import timed
from failaware import Store


def _environment(folder):
    """Return an environment in which compiled modules are cached, as for an installed package."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**variables, "PYTHONPYCACHEPREFIX": str(Path(folder) / "compiled")}


def _run(environment, *words):
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=environment)


def _run_on_a_terminal(environment, *words):
    """Run with a terminal as standard output, so rich is used."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen([sys.executable, *words], stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    while True:
        try:
            if not os.read(controller, 65_536):
                break
        except OSError:  # the other end is closed
            break
    os.close(controller)
    assert process.wait() == 0


def lines(rounds, note):
    """Yield each start-up time compared with bare Python, alternating."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "b.db")
        with Store.open(path) as store:
            store.record("a", 1)
        environment = _environment(folder)
        health = ("-m", "failaware", "--db", path, "health")
        cases = {
            "bare Python": lambda: _run(environment, "-c", "pass"),
            "import failaware": lambda: _run(environment, "-c", "import failaware"),
            "health --json": lambda: _run(environment, *health, "--json"),
            "health, rich": lambda: _run_on_a_terminal(environment, *health),
        }
        for case in cases.values():
            case()  # compile modules first
        times = {name: [] for name in cases}
        for _ in range(4 * rounds + 1):
            for name, case in cases.items():
                times[name].append(1_000 * timed(case))
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    note("start, ms", medians)
    for name, bound in (("import failaware", 2.5), ("health --json", 4.5), ("health, rich", 8.0)):
        yield Line(7, f"{name} vs. bare Python", medians[name] / medians["bare Python"], bound, most=True)
