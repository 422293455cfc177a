"""The house as a test: who may import whom, who may read the clock, how large a room may grow; nothing is dead."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("failaware", "tui", "sample_data")
PURE = {"failaware.digest", "failaware.errors", "failaware.model", "failaware.text", "failaware.warn"}
CAPTURED = PURE | {"failaware.capture"}
MAY_IMPORT = {  # room: the rooms it may import; the longest matching name is the room; rooms not listed are free
    "failaware.model": set(),
    "failaware.digest": set(),
    "failaware.errors": set(),
    "failaware.text": set(),
    "failaware.clock": set(),
    "failaware.warn": set(),
    "failaware.capture": PURE,
    "failaware.engine": PURE | {"failaware.engine.sqlite", "failaware.engine.postgres"},
    "failaware.engine.sqlite": PURE | {"failaware.engine"},
    "failaware.engine.postgres": PURE | {"failaware.engine"},
    "failaware.derive": PURE | {"failaware.engine"},
    "failaware.facts": PURE | {"failaware.engine", "failaware.derive"},
    "failaware.ingest": CAPTURED | {"failaware.facts"},
    "failaware.ingest.chunk": CAPTURED | {"failaware.engine", "failaware.ingest", "failaware.store"},
    "failaware.ingest.lines": CAPTURED | {"failaware.ingest", "failaware.ingest.chunk", "failaware.store"},
    "failaware.ingest.follow": CAPTURED
    | {"failaware.engine", "failaware.facts", "failaware.ingest", "failaware.ingest.chunk", "failaware.ingest.lines"}
    | {"failaware.store"},
    "failaware.ingest.restore": CAPTURED
    | {"failaware.derive", "failaware.facts", "failaware.ingest.lines", "failaware.store"},
    "failaware.ingest.background": CAPTURED | {"failaware.ingest", "failaware.store"},
    "failaware.ingest.files": CAPTURED
    | {"failaware.ingest", "failaware.ingest.chunk", "failaware.ingest.junit", "failaware.ingest.lines"}
    | {"failaware.ingest.restore", "failaware.store"},
    "failaware.ingest.junit": CAPTURED | {"failaware.ingest", "failaware.ingest.chunk", "failaware.store"},
    "failaware.ingest.logging": CAPTURED | {"failaware.ingest", "failaware.ingest.background", "failaware.store"},
    "failaware.ingest.queues": CAPTURED
    | {"failaware.engine", "failaware.facts", "failaware.ingest", "failaware.store"},
    "failaware.ingest.celery": CAPTURED | {"failaware.ingest", "failaware.ingest.queues", "failaware.store"},
    "failaware.ingest.rq": CAPTURED | {"failaware.ingest", "failaware.ingest.queues", "failaware.store"},
    "failaware.ingest.pytest": CAPTURED | {"failaware.ingest", "failaware.store"},
    "failaware.ingest.sentry": CAPTURED | {"failaware.ingest", "failaware.ingest.background", "failaware.store"},
    "failaware.store": CAPTURED
    | {"failaware.clock", "failaware.engine", "failaware.derive", "failaware.facts", "failaware.ingest"},
    "failaware.sync": CAPTURED | {"failaware.engine", "failaware.facts", "failaware.ingest", "failaware.store"},
    "failaware.read": PURE | {"failaware.clock", "failaware.engine", "failaware.derive"},
    "failaware.cli": PURE
    | {"failaware.derive", "failaware.ingest", "failaware.ingest.lines", "failaware.store", "failaware.sync"}
    | {
        "failaware.facts",
        "failaware.ingest.chunk",
        "failaware.ingest.restore",
        "failaware.ingest.files",
        "failaware.ingest.follow",
        "failaware.read",
        "failaware.clock",
        "tui",
        "sample_data",
    },
    "failaware.cli.init": PURE | {"failaware.cli", "failaware.engine", "failaware.engine.postgres", "failaware.store"},
    "tui": PURE | {"failaware.clock", "failaware.read"},
    "sample_data": set(),  # the public names only: from failaware import …
}
FOREIGN = {
    "rich": {"failaware.cli", "tui"},
    "textual": {"tui"},
    "pygments": {"tui"},
    "argcomplete": {"failaware.cli.completion"},
    "sqlite3": {"failaware.engine.sqlite", "failaware.engine.schema"},
    "psycopg": {"failaware.engine"},
    "sqlite_utils": {"failaware.engine.sqlite.migrations"},
}
CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.datetime.now", "random.random"}
CLOCKLESS = ("failaware.derive", "failaware.read", "failaware.model", "failaware.engine", "failaware.facts")
MODULE_LINES, FUNCTION_LINES = 400, 50
METHODS = 15  # public ones of a class
ENTRY_POINTS = {
    *("failaware.__main__", "tui.app", "sample_data.scenarios.lost_worker"),
    *(f"failaware.ingest.{name}" for name in ("celery", "logging", "pytest", "rq", "sentry")),
}

MODULES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
    for top in OURS
    for p in sorted((ROOT / top).rglob("*.py"))
    if p.parent.name != "inputs"  # examples of other people's programs
}


def room(module, rooms):
    return max((r for r in rooms if module == r or module.startswith(r + ".")), key=len, default=None)


def imports(module, tree):
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] + "." if node.level else ""
            name = (base + (node.module or "")).strip(".")
            yield from (f"{name}.{a.name}" if f"{name}.{a.name}" in MODULES else name for a in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_house(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    mine = room(module, MAY_IMPORT)
    for name in imports(module, tree):
        theirs = room(name, MAY_IMPORT)
        forbidden = mine and theirs and theirs != mine and theirs not in MAY_IMPORT[mine]
        foreign = FOREIGN.get(name.partition(".")[0])
        assert not forbidden, f"{module} must not import {name}"
        assert not foreign or room(module, foreign), f"{module} must not import {name}"
        if mine == "sample_data" and name.startswith("failaware"):
            assert name == "failaware", f"{module} may use the public names only, not {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and room(module, CLOCKLESS):
            assert ast.unparse(node.func) not in CLOCKS, f"{module}:{node.lineno} reads the clock"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < FUNCTION_LINES, f"{module}.{node.name} is too long"
        if isinstance(node, ast.ClassDef):
            public = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
            assert len(public) <= METHODS, f"{module}.{node.name} has {len(public)} public methods"
    lines = len(MODULES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= MODULE_LINES, f"{module} grew to {lines} lines"


def test_nothing_is_dead():
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}
    imported = {name for module, tree in trees.items() for name in imports(module, tree)}
    from failaware.cli.main import COMMANDS

    imported |= {f"failaware.cli.{command.module}" for command in COMMANDS}
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert not set(MODULES) - imported - packages - ENTRY_POINTS


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if path.name == "__init__.py"])
def test_every_room_says_what_it_may_touch(module):
    doc = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert doc


def test_each_statement_of_the_fold_is_used():
    from failaware.derive import fold

    source = MODULES["failaware.derive.fold"].read_text(encoding="utf-8")
    for name in fold._SQL:
        assert f'"{name}"' in source, name
