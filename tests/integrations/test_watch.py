"""One line records the failures of a whole program, which runs and ends as it would without it."""

import asyncio
import logging
import subprocess
import sys
import threading

import pytest

import failaware
from failaware import Store
from tests.conftest import query

PROGRAM = """
import failaware, sys
watched = failaware.watch(sys.argv[1])
"""


def failures(store):
    columns = "e.event_type, a.error_type, a.error_message"
    return query(
        store, f"SELECT {columns} FROM attempt_log a JOIN event_log e ON e.event_id = a.event_id ORDER BY a.attempt_id"
    )


def run(tmp_path, body, *, begin=PROGRAM):
    script = tmp_path / "nightly.py"
    script.write_text(begin + body)
    command = [sys.executable, str(script), str(tmp_path / "store.db")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)


@pytest.fixture
def watch(store):
    watch = failaware.watch(store)
    yield watch
    watch.close()


@pytest.mark.parametrize(
    "body",
    [
        "def charge(order):\n    raise LookupError(f'order {order}')\ncharge(17)\n",
        "raise KeyboardInterrupt\n",
        "sys.exit(3)\n",
        "sys.excepthook = lambda kind, *_: print('mine', kind.__name__)\n1 / 0\n",
        "import os\nos._exit(4)\n",
        "import logging\nlogging.error('not configured')\nlogging.getLogger('shop').error('last resort')\n",
        "import logging\nlogging.basicConfig(format='mine %(message)s')\nlogging.error('configured')\n",
    ],
)
@pytest.mark.thinned
def test_a_program_ends_as_it_would_without_it(tmp_path, body):
    with_it = run(tmp_path, body)
    without = run(tmp_path, body, begin="\nimport failaware, sys\nwatched = 1\n")
    assert (with_it.returncode, with_it.stdout, with_it.stderr) == (without.returncode, without.stdout, without.stderr)


def test_the_exception_that_ends_a_program_is_recorded_once(tmp_path):
    body = """
import logging, threading
def lines(n): raise LookupError(f"order {n}")
threads = [threading.Thread(target=lines, args=(number,)) for number in (1, 2)]
for thread in threads: thread.start(); thread.join()
try:
    lines(3)
except LookupError:
    logging.getLogger("shop").exception("cannot go on")
    raise
"""
    done = run(tmp_path, body)
    assert done.returncode == 1
    assert "order 3" in done.stderr
    with Store.open(tmp_path / "store.db") as store:
        types = ["nightly.py", "nightly.py", "shop"]
        assert failures(store) == [(name, "LookupError", f"order {n}") for n, name in enumerate(types, start=1)]
        ((payload,),) = query(store, "SELECT event_payload FROM event_log WHERE event_id = 1")
        assert "nightly.py:6 lines" in payload
        assert "Thread-1" in payload


def test_logging_may_be_configured_at_any_time(tmp_path):
    body = """
import logging, logging.config
logging.error("before")
logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"handlers": []}})
logging.getLogger("shop").error("after")
logging.getLogger("shop").warning("only a warning")
"""
    run(tmp_path, body)
    with Store.open(tmp_path / "store.db") as store:
        assert failures(store) == [("root", "ERROR", "before"), ("shop", "ERROR", "after")]


def test_a_child_of_a_fork_is_watched_too(tmp_path):
    body = """
import os
if os.fork() == 0:
    raise ValueError("in the child")
os.wait()
"""
    assert run(tmp_path, body).returncode == 0
    with Store.open(tmp_path / "store.db") as store:
        assert failures(store) == [("nightly.py", "ValueError", "in the child")]


def test_what_a_module_of_python_m_raises_has_the_name_of_the_module(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__main__.py").write_text(PROGRAM + "raise OSError('disk full')")
    command = [sys.executable, "-m", "shop", str(tmp_path / "store.db")]
    assert subprocess.run(command, capture_output=True, timeout=60, cwd=tmp_path, check=False).returncode == 1
    with Store.open(tmp_path / "store.db") as store:
        assert failures(store) == [("shop", "OSError", "disk full")]


def test_a_task_that_nobody_awaits_is_recorded(store, watch):
    async def fails():
        raise ValueError("lost")

    async def program():
        task = asyncio.create_task(fails())
        await asyncio.sleep(0.01)
        del task

    asyncio.run(program())
    watch.flush()
    ((event_type, *error),) = failures(store)
    assert error == ["ValueError", "lost"]
    assert event_type != "asyncio"


def test_an_exception_that_refuses_attributes_is_recorded_once(store, watch):
    class Odd(Exception):
        def __setattr__(self, *_):
            raise RuntimeError

    try:
        raise Odd("odd")
    except Odd as error:
        logging.getLogger("shop").exception("first")
        sys.excepthook(type(error), error, None)
    watch.flush()
    assert [error_type.rpartition(".")[2] for _, error_type, _ in failures(store)] == ["Odd"]


def test_closing_restores_the_hooks_unless_others_were_added(store):
    before = sys.excepthook, threading.excepthook, logging.Logger.callHandlers
    watch = failaware.watch(store)
    again = failaware.watch(store)
    again.close()
    watch.close()
    assert (sys.excepthook, threading.excepthook, logging.Logger.callHandlers) == before
    seen = []
    try:
        watch = failaware.watch(store)
        ours = sys.excepthook
        sys.excepthook = theirs = lambda *arguments: (seen.append(arguments[1]), ours(*arguments))
        watch.close()
        assert sys.excepthook is theirs
        sys.excepthook(ValueError, ValueError("x"), None)
    finally:
        sys.excepthook = before[0]
    assert len(seen) == 1
    assert failures(store) == []


def test_a_store_that_cannot_be_opened_is_a_warning(tmp_path):
    hooks = sys.excepthook, logging.Logger.callHandlers
    (tmp_path / "store.db").write_text("not a store")
    with pytest.warns(RuntimeWarning, match="records nothing of this program"):
        watch = failaware.watch(tmp_path / "store.db")
    assert (sys.excepthook, logging.Logger.callHandlers) == hooks
    assert watch.dropped == 0
    watch.flush()
    watch.close()
