"""Waiting until a store may have changed: notified by the kernel, or polled."""

import sys
import time
from contextlib import closing

import pytest

from failaware import Store
from failaware.engine.sqlite.watch import SqliteWatch
from tests import processes


@pytest.mark.skipif(sys.platform != "linux", reason="no notifications elsewhere")
def test_a_commit_of_another_process_is_told(path):
    program = "import sys; from failaware import Store; Store.open(sys.argv[1]).record('a', 1)"
    with Store.open(path) as store, closing(store.session.read(lambda db: db.watch())) as watch:
        assert watch.wait(60)  # what was before, it does not know
        assert not watch.wait(0.01)
        processes.run([sys.executable, "-c", program, str(path)], check=True)
        assert watch.wait(5)


def test_where_nobody_tells_it_returns_soon(tmp_path):
    with closing(SqliteWatch(tmp_path / "missing")) as watch:
        began = time.monotonic()
        assert watch.wait(60)
        assert not watch.wait(60)
        assert time.monotonic() - began < 5
