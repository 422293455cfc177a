"""The architecture as a test: which package may import which, which may read the clock, size limits, dead modules."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import _BY_CASE, _TOURED

ROOT = Path(__file__).resolve().parent.parent
OURS = ("failaware", "tui", "sample_data")
VALUES = {
    *(
        f"failaware.{name}"
        for name in ("digest", "errors", "identity", "json_text", "model", "place", "rules", "text", "user_settings")
    ),
    *("failaware.version", "failaware.warn"),
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
    "failaware.recording": UNDER_SESSION - {"failaware.clock"} | {"failaware.session"},
    "failaware.store": (
        UNDER_STORE := UNDER_SESSION - {"failaware.clock"}
        | {f"failaware.{name}" for name in ("session", "recording", "ledger")}
    ),
    "failaware.worker": UNDER_STORE | {"failaware.store"},
    "failaware.ingest": UNDER_STORE,
    "failaware.integrations": UNDER_STORE | {"failaware.store", "failaware.ingest"},
    "failaware.serve": UNDER_STORE - {"failaware.ledger"} | {"failaware.clock", "failaware.store", "failaware.ingest"},
    "failaware.read": VALUES
    | {f"failaware.{name}" for name in ("clock", "engine", "derive", "derive.stored_version", "ledger")},
    "failaware.federation": VALUES | {f"failaware.{name}" for name in ("clock", "engine", "derive", "read")},
    "failaware.cli": VALUES
    | {f"failaware.{name}" for name in ("clock", "capture", "derive", "facts", "federation", "ledger", "store")}
    | {
        "failaware.derive.stored_version",
        "failaware.worker",
        "failaware.ingest",
        "failaware.serve",
        "failaware.read",
        "tui",
        "sample_data",
    },
    "failaware.cli.systemd": VALUES
    | {"failaware.cli", "failaware.engine", "failaware.store", "failaware.integrations"},
    "failaware.cli.init": VALUES
    | {"failaware.cli", "failaware.engine", "failaware.engine.postgres", "failaware.store"},
    "tui": VALUES | {f"failaware.{name}" for name in ("clock", "derive.stored_version", "federation", "read")},
    "sample_data": set(),  # the public names only: from failaware import …
}
FOREIGN = {
    "rich": {"failaware.cli", "tui"},
    "textual": {"tui"},
    "pygments": {"tui"},
    "ahocorasick_rs": {"failaware.capture.secrets.words"},
    "argcomplete": {"failaware.cli.completion"},
    "jmespath": {"failaware.ingest.expressions"},
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
    *(
        f"failaware.integrations.{name}"
        for name in (
            "airflow",
            "apscheduler",
            "arq",
            "celery",
            "django",
            "dramatiq",
            "huey",
            "logging",
            "prefect",
            "pytest",
            "rq",
            "sentry",
            "taskiq",
        )
    ),
}

MODULES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
    for top in OURS
    for p in sorted((ROOT / top).rglob("*.py"))
    if p.parent.name != "inputs"  # examples of other people's programs
}


def package_of(module, packages):
    return max((p for p in packages if module == p or module.startswith(p + ".")), key=len, default=None)


def at_run_time(node):
    """The nodes of a tree, except what is under `if TYPE_CHECKING`."""
    yield node
    if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from at_run_time(child)


def imports(module, nodes):
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] + "." if node.level else ""
            name = (base + (node.module or "")).strip(".")
            yield from (f"{name}.{a.name}" if f"{name}.{a.name}" in MODULES else name for a in node.names)


@cache
def tree_of(module):
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def called(node):
    """The dotted name of what a call calls; empty if it has none."""
    parts, function = [], node.func
    while isinstance(function, ast.Attribute):
        parts.insert(0, function.attr)
        function = function.value
    return ".".join([function.id, *parts]) if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize("top", OURS)
def test_house(top):
    assert [violation for module in MODULES if package_of(module, [top]) for violation in violations(module)] == []


def violations(module):
    own = package_of(module, LAYERS)
    for name in imports(module, ast.walk(tree_of(module))):
        other = package_of(name, LAYERS)
        forbidden = own and other and other != own and other not in LAYERS[own]
        foreign = FOREIGN.get(name.partition(".")[0])
        if forbidden or (foreign and not package_of(module, foreign)):
            yield f"{module} must not import {name}"
        if own == "sample_data" and name.startswith("failaware") and name != "failaware":
            yield f"{module} may use the public names only, not {name}"
    for node in ast.walk(tree_of(module)):
        yield from (f"{module}:{node.lineno} {what}" for what in faults(module, node))
    lines = len(MODULES[module].read_text(encoding="utf-8").splitlines())
    if lines > MODULE_LINES:
        yield f"{module} grew to {lines} lines"


def faults(module, node):
    if isinstance(node, ast.Call) and package_of(module, CLOCKLESS) and called(node) in CLOCKS:
        yield "reads the clock"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= FUNCTION_LINES:
        yield f"{node.name} is too long"
    if isinstance(node, ast.ClassDef):
        public = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
        if len(public) > METHODS:
            yield f"{node.name} has {len(public)} public methods"


def test_nothing_is_dead():
    imported = {name for module in MODULES for name in imports(module, ast.walk(tree_of(module)))}
    from failaware.cli.commands import COMMANDS

    imported |= {command.module for command in COMMANDS.values()}
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert not set(MODULES) - imported - packages - ENTRY_POINTS


def test_every_package_says_what_it_may_touch():
    packages = [name for name, path in MODULES.items() if path.name == "__init__.py"]
    assert [name for name in packages if not ast.get_docstring(tree_of(name))] == []


def test_each_statement_of_the_fold_is_used():
    from failaware.derive import fold

    source = "".join(MODULES[f"failaware.derive.{name}"].read_text(encoding="utf-8") for name in ("fold", "assign"))
    for name in fold._SQL:
        assert f'"{name}"' in source, name


@pytest.mark.parametrize("prefix", [*_TOURED, *_BY_CASE])
def test_what_conftest_says_of_the_engines_is_about_tests_that_are_there(prefix):
    assert list(ROOT.glob(f"{prefix}*")), prefix


def test_no_module_imports_itself_by_way_of_others():
    imported = {module: MODULES.keys() & imports(module, at_run_time(tree_of(module))) for module in MODULES}
    reached = {module: imported[module] for module in MODULES}
    while reached != (further := {m: names.union(*(imported[n] for n in names)) for m, names in reached.items()}):
        reached = further
    circles = [{other for other in reached[module] if module in reached[other]} for module in MODULES]
    assert [circle for circle in circles if circle] == []
