"""Where a store is: resolved once, independent of the working directory; other paths are refused, nothing is lost."""

import os
import socket
import subprocess
import sys

import pytest

from failaware import Inspector, Store, Worker
from failaware.cli.main import main
from failaware.engine import open_private_copy
from failaware.errors import FailawareError, StoreError
from failaware.worker.handlers import Handlers

pytestmark = pytest.mark.sqlite("about paths")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _device(folder):
    return "/dev/null"


def _pipe(folder):
    os.mkfifo(folder / "pipe")
    return "pipe"


def _socket(folder):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    return "socket"


NO_FILE = {
    "memory": lambda _: ":memory:",
    "nothing": lambda _: "",
    "uri": lambda _: "file:store.db?mode=memory",
    "shared uri": lambda _: "file::memory:?cache=shared",
    "nul": lambda _: "store\0.db",
    "folder": lambda _: "inner",
    "device": _device,
    "full": lambda _: "/dev/full",
    "pipe": _pipe,
    "socket": _socket,
    "long": lambda _: "n" * 300,
    "loop": lambda folder: os.symlink("loop", folder / "loop") or "loop",
    "below a file": lambda folder: (folder / "plain").touch() or "plain/store.db",
    "none": lambda _: None,
    "number": lambda _: 4711,
}


@pytest.mark.parametrize("kind", NO_FILE)
def test_what_is_no_file_is_refused_by_all_and_leaves_nothing(folder, kind, capfd):
    place = NO_FILE[kind](folder)
    before = sorted(os.listdir(folder))
    for opening in (Store.open, Inspector.open, open_private_copy):
        with pytest.raises(FailawareError) as refused:
            opening(place)
        assert len(str(refused.value).splitlines()) == 1
    if isinstance(place, str) and "\0" not in place:
        for words in (["health"], ["ingest", "/dev/null"], ["dismiss", "1", "--because", "x"]):
            assert main(["--db", place, *words]) == 2
            assert capfd.readouterr().err.count("\n") == 1
    assert sorted(os.listdir(folder)) == before


def test_a_name_that_sqlite_takes_for_memory_can_be_a_file(folder):
    with Store.open("./:memory:") as store:
        store.record("a")
    with Inspector.open(folder / ":memory:") as inspector:
        assert inspector.health().total_events == 1


def test_a_change_of_folder_changes_no_store(folder, monkeypatch):
    store, kept = Store.open("store.db"), os.path.join(folder, "store.db")
    store.record("a", {"n": 1})
    inspector = Inspector.open("store.db")
    monkeypatch.chdir(folder / "inner")
    store.record("b")
    if (child := os.fork()) == 0:
        store.record("c")
        os._exit(0)
    os.waitpid(child, 0)
    assert inspector.db.change_token()
    assert inspector.health().total_events == 3
    with inspector.as_of(inspector.now()) as then:
        assert then.health().total_events == 3
    assert inspector.explain("event/1", facts=True)
    store.close()
    inspector.close()
    with Inspector.open(kept) as again:
        assert again.health().total_events == 3
    assert os.listdir(folder / "inner") == []


def test_a_handler_that_changes_the_folder_changes_no_exit_status(folder):
    (folder / "h.py").write_text(
        "import os\nfrom failaware import Handlers\nhandlers = Handlers()\n"
        "handlers.on('go')(lambda event: os.chdir('/'))\n"
    )
    with Store.open("store.db") as store:
        store.record("go")
    command = [sys.executable, "-m", "failaware", "--db", "store.db", "run", "h", "--until-idle"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "1 synced, 0 failed and due again, 0 dead, 0 pending\n")


def test_without_a_folder_a_full_path_is_as_good_as_ever(folder, monkeypatch, capfd):
    kept = folder / "store.db"
    Store.open(kept).close()
    monkeypatch.chdir(folder / "inner")
    os.rmdir(folder / "inner")
    try:
        for opening in (Store.open, Inspector.open):
            with pytest.raises(StoreError, match="the current folder was removed"):
                opening("store.db")
            opening(kept).close()
        for words in ("health", "events", "run tests.no_such_module", "ingest no-file", "seal"):
            assert main(["--db", "store.db", *words.split()]) == 2
            assert capfd.readouterr().err.count("\n") == 1
        assert main(["--db", str(kept), "health"]) == 0
    finally:
        monkeypatch.chdir("/")  # what comes after this asks for it


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_a_store_is_that_store(folder, there):
    """SQLite's own files are next to the link's target: a worker that watches the link's folder would not wake up."""
    if there:
        Store.open("inner/real.db").close()
    os.symlink("inner/real.db", "link.db")
    with Store.open("link.db") as store:
        watch = store.session.read(lambda db: db.watch())
        watch.wait(0)  # from now on it looks
        with Store.open("inner/real.db") as other:
            other.record("a")
        assert watch.wait(10)
        watch.close()
        handlers = Handlers()
        handlers.on("a")(lambda event: None)
        Worker(store, handlers).run(until_idle=True)
    with Inspector.open("link.db") as inspector:
        assert inspector.health().synced == 1
    assert os.path.islink("link.db")
    assert oct(os.stat("inner/real.db").st_mode)[-3:] == "600"
