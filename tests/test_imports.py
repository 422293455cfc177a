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


HEAVY = {"rich", "textual", "sqlite_utils", "click", "asyncio", "logging", "traceback", "hypothesis"}
HEAVY |= {"sentry_sdk", "celery", "rq", "redis", "pytest", "xml"}


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
    modules = loaded("import failaware.ingest.pytest")
    assert not {"failaware.store", "failaware.engine.sqlite", "sqlite3"} & modules


def test_json_reports_load_neither_rich_nor_what_writes(store, path):
    modules = loaded(f"from failaware.cli.main import main; main(['--db', {str(path)!r}, 'health', '--json'])")
    assert not (HEAVY | {"failaware.store", "failaware.sync.worker"}) & modules


def test_every_public_name_is_there_and_documented():
    import failaware

    for name in failaware.__all__:
        assert getattr(failaware, name).__doc__, name
    with pytest.raises(AttributeError):
        _ = failaware.no_such_name
