"""What is not needed is not loaded: start-up is what one feels first."""

import subprocess
import sys

import pytest


def loaded(program):
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split("\n")[-2].split())


HEAVY = {
    *("rich", "textual", "sqlite_utils", "click", "psycopg", "hypothesis"),
    *("asyncio", "logging", "traceback", "importlib.metadata", "ctypes", "concurrent.futures"),
}
HEAVY |= {"sentry_sdk", "celery", "rq", "redis", "pytest", "xml"}
HEAVY |= {"argcomplete", "jmespath"}
HEAVY |= {f"failaware.cli.{name}" for name in ("completion", "examples", "help", "pager", "watch", "zone")}
WITH_PSYCOPG = {"psycopg", "asyncio", "logging", "traceback", "ctypes", "concurrent.futures", "importlib.metadata"}
WITH_PSYCOPG |= {"subprocess", "difflib", "zoneinfo"}


def heavy(engine):
    """What must not be loaded, even where the store needs psycopg, which loads some of it."""
    return HEAVY - WITH_PSYCOPG if engine == "postgres" else HEAVY


@pytest.mark.parametrize(
    "program",
    [
        "import failaware",
        "from failaware import Store, Event, Severity, Permanent",
        "from failaware import Inspector",
        "from failaware.cli.main import main; main(['--version'])",
    ],
)
def test_nothing_heavy_is_loaded(program):
    assert not HEAVY & loaded(program)


def test_the_plugin_of_pytest_loads_no_store_until_it_is_asked_for_one():
    modules = loaded("import failaware.integrations.pytest")
    assert not {"failaware.store", "failaware.engine.sqlite.reader", "sqlite3"} & modules


def test_json_reports_load_neither_rich_nor_what_writes(store, path, engine):
    modules = loaded(f"from failaware.cli.main import main; main(['--db', {str(path)!r}, 'health', '--json'])")
    unneeded = {"failaware.store", "failaware.worker.worker", "subprocess", "difflib", "zoneinfo"}
    assert not (heavy(engine) | (unneeded - (WITH_PSYCOPG if engine == "postgres" else set()))) & modules


@pytest.mark.parametrize("command", [["severity"], ["clusters"], ["events"], ["event", "1"], ["timeline"]])
@pytest.mark.thinned
def test_reports_into_a_pipe_load_neither_rich_nor_what_writes(store, path, engine, command):
    store.record("a", 1)
    modules = loaded(f"from failaware.cli.main import main; main(['--db', {str(path)!r}, *{command!r}])")
    assert not (heavy(engine) | {"failaware.store", "failaware.worker.worker"}) & modules


@pytest.mark.sqlite("psycopg loads asyncio")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_worker_loads_asyncio_only_for_async_handlers(store, path, is_async):
    kind = "async def" if is_async else "def"
    modules = loaded(
        "from failaware import Handlers, Store, Worker\nhandlers = Handlers()\n"
        f"@handlers.on('a')\n{kind} handle(event): pass\n"
        f"store = Store.open({str(path)!r}); store.record('a', 1)\n"
        "Worker(store, handlers).run(until_idle=True, patience=0)"
    )
    assert ("asyncio" in modules) == is_async
    assert not (HEAVY - {"asyncio", "logging", "traceback", "ctypes", "concurrent.futures"}) & modules


def test_every_public_name_is_there_and_documented():
    import failaware

    for name in failaware.__all__:
        assert getattr(failaware, name).__doc__, name
    with pytest.raises(AttributeError):
        _ = failaware.no_such_name
