"""The architecture as a test: which package may import which, which may read the clock, size limits, dead modules."""

import ast
from pathlib import Path

import pytest

from tests.conftest import _EACH_CASE, _TOURED

ROOT = Path(__file__).resolve().parent.parent
OURS = ("failaware", "tui", "sample_data")
VALUES = {
    *(
        f"failaware.{name}"
        for name in ("digest", "errors", "identity", "json_text", "model", "place", "rules", "text", "version", "warn")
    )
}
LAYERS = {  # package: the packages it may import; the longest name that a module's begins with is its package
    **dict.fromkeys(VALUES, VALUES),
    "failaware.clock": set(),
    "failaware.capture": VALUES,
    "failaware.schema": VALUES,
    "failaware.engine": VALUES | {"failaware.schema", "failaware.engine.sqlite", "failaware.engine.postgres"},
    "failaware.engine.sqlite": VALUES | {"failaware.schema", "failaware.engine"},
    "failaware.engine.postgres": VALUES | {"failaware.schema", "failaware.engine"},
    "failaware.derive": VALUES | {"failaware.schema", "failaware.engine"},
    "failaware.derive.stored_version": VALUES | {"failaware.engine", "failaware.derive"},
    "failaware.facts": VALUES | {"failaware.schema", "failaware.engine", "failaware.derive"},
    "failaware.session": (
        UNDER_SESSION := VALUES
        | {f"failaware.{name}" for name in ("clock", "capture", "schema", "engine", "derive", "facts")}
    ),
    "failaware.ledger": UNDER_SESSION - {"failaware.clock"} | {"failaware.derive.stored_version", "failaware.session"},
    "failaware.store": (UNDER_STORE := UNDER_SESSION - {"failaware.clock"} | {"failaware.session", "failaware.ledger"}),
    "failaware.worker": UNDER_STORE | {"failaware.store"},
    "failaware.ingest": UNDER_STORE,
    "failaware.integrations": UNDER_STORE | {"failaware.store", "failaware.ingest"},
    "failaware.serve": UNDER_STORE - {"failaware.ledger"} | {"failaware.clock", "failaware.store", "failaware.ingest"},
    "failaware.read": VALUES
    | {f"failaware.{name}" for name in ("clock", "engine", "derive", "derive.stored_version", "ledger")},
    "failaware.cli": VALUES
    | {f"failaware.{name}" for name in ("clock", "capture", "derive", "facts", "ledger", "store")}
    | {
        "failaware.derive.stored_version",
        "failaware.worker",
        "failaware.ingest",
        "failaware.serve",
        "failaware.read",
        "tui",
        "sample_data",
    },
    "failaware.cli.init": VALUES
    | {"failaware.cli", "failaware.engine", "failaware.engine.postgres", "failaware.store"},
    "tui": VALUES | {"failaware.clock", "failaware.derive.stored_version", "failaware.read"},
    "sample_data": set(),  # the public names only: from failaware import …
}
FOREIGN = {
    "rich": {"failaware.cli", "tui"},
    "textual": {"tui"},
    "pygments": {"tui"},
    "ahocorasick_rs": {"failaware.capture.secrets.words"},
    "argcomplete": {"failaware.cli.completion"},
    "sqlite3": {"failaware.engine.sqlite", "failaware.schema.ddl"},
    "psycopg": {"failaware.engine"},
    "sqlite_utils": {"failaware.engine.sqlite.migrations"},
}
CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.datetime.now", "random.random"}
CLOCKLESS = tuple(
    f"failaware.{name}"
    for name in ("model", "rules", "capture", "schema", "engine", "derive", "facts", "ledger", "read", "ingest.formats")
)
MODULE_LINES, FUNCTION_LINES = 400, 50
METHODS = 15  # public ones of a class
ENTRY_POINTS = {
    *("failaware.__main__", "tui.app", "sample_data.scenarios.lost_worker"),
    *(f"failaware.integrations.{name}" for name in ("celery", "logging", "pytest", "rq", "sentry")),
}

MODULES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
    for top in OURS
    for p in sorted((ROOT / top).rglob("*.py"))
    if p.parent.name != "inputs"  # examples of other people's programs
}


def package_of(module, packages):
    return max((p for p in packages if module == p or module.startswith(p + ".")), key=len, default=None)


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
    own = package_of(module, LAYERS)
    for name in imports(module, tree):
        other = package_of(name, LAYERS)
        forbidden = own and other and other != own and other not in LAYERS[own]
        foreign = FOREIGN.get(name.partition(".")[0])
        assert not forbidden, f"{module} must not import {name}"
        assert not foreign or package_of(module, foreign), f"{module} must not import {name}"
        if own == "sample_data" and name.startswith("failaware"):
            assert name == "failaware", f"{module} may use the public names only, not {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and package_of(module, CLOCKLESS):
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
    from failaware.cli.commands import COMMANDS

    imported |= {command.module for command in COMMANDS.values()}
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert not set(MODULES) - imported - packages - ENTRY_POINTS


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if path.name == "__init__.py"])
def test_every_package_says_what_it_may_touch(module):
    doc = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert doc


def test_each_statement_of_the_fold_is_used():
    from failaware.derive import fold

    source = MODULES["failaware.derive.fold"].read_text(encoding="utf-8")
    for name in fold._SQL:
        assert f'"{name}"' in source, name


@pytest.mark.parametrize("prefix", [*_TOURED, *_EACH_CASE])
def test_what_conftest_says_of_the_engines_is_about_tests_that_are_there(prefix):
    assert list(ROOT.glob(f"{prefix}*")), prefix


def test_no_module_imports_itself_by_way_of_others():
    imported = {}
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported[module] = {name for name in imports(module, without_types(tree)) if name in MODULES}
    reached = {module: imported[module] for module in MODULES}
    while reached != (further := {m: names.union(*(imported[n] for n in names)) for m, names in reached.items()}):
        reached = further
    circles = [{other for other in reached[module] if module in reached[other]} for module in MODULES]
    assert [circle for circle in circles if circle] == []


def without_types(tree):
    """The module without what is imported under `if TYPE_CHECKING` alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return tree
