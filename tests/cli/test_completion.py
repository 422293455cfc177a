"""Completion in the shells themselves, by the script that `failaware completion` prints."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from failaware import Handlers, Permanent, Store, Worker
from tests import processes

BIN = str(Path(sys.executable).parent)


def needs(shell):
    return pytest.mark.skipif(not shutil.which(shell), reason=f"needs {shell}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    handlers = Handlers()

    @handlers.on("shop.*")
    def fails(event):
        raise Permanent(f"{event.event_type} cannot be read")

    with Store.open(folder / "failaware.db") as store:
        store.record_many([("shop.order", 1), ("shop.order", 2), ("shop.stock", 3), ("mail", 4)])
        Worker(store, handlers).run(until_idle=True)
    (folder / "strict.toml").touch()
    return folder


def environment(**more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FAILAWARE", "_ARG"))}
    return {**clean, "PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb", **more}


BASH = """
eval "$(failaware completion bash)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
_python_argcomplete failaware
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(line, cwd, **env):
    done = processes.run(
        ["bash", "--norc", "-c", BASH, "bash", line],
        cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return {word.strip() for word in done.stdout.splitlines()} - {""}


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("failaware re", {"recovered", "rejects", "requeue", "restore", "rebuild"}),
        ("failaware event", {"event", "events"}),
        ("failaware health --j", {"--json"}),
        ("failaware --db failaware.db severity --exit-code H", {"HIGH"}),
        ("failaware help fil", {"files", "filters"}),
        ("failaware completion f", {"fish"}),
        ("failaware severity --policy str", {"strict.toml"}),
        ("failaware events stat", {"status:"}),
        ("failaware events status:D", {"DEAD", "DISMISSED"}),  # bash itself adds the text before a colon
        ("failaware events status:DEAD,FAI", {"DEAD,FAILED"}),
        ("failaware clusters status:R", {"RESOLVED"}),
        ("failaware events type:shop.", {"shop.order", "shop.stock"}),
        ("failaware requeue --where type:mai", {"mail"}),
        ("failaware event ", {"1", "2", "3"}),
        ("failaware explain eve", {"event/"}),
        ("failaware explain event/", {"event/1", "event/2", "event/3"}),
        ("failaware events --limit ", set()),
    ],
)
def test_bash(folder, line, offers):
    assert bash(line, folder) == offers


def test_ids_of_clusters(folder):
    ids = bash("failaware cluster ", folder)
    assert len(ids) == 2
    assert all(word.isdigit() for word in ids)
    assert bash("failaware events last:", folder) == ids


def test_a_store_that_cannot_be_read_completes_to_nothing(tmp_path):
    (tmp_path / "text.db").write_text("no database " * 500)
    assert bash("failaware event ", tmp_path) == set()
    assert bash("failaware --db text.db events type:", tmp_path) == set()
    assert not (tmp_path / "failaware.db").exists()


def test_hostile_words_of_a_store_are_not_obeyed(tmp_path):
    with Store.open(tmp_path / "failaware.db") as store:
        store.record_many([("a$(touch owned)", 1), ("a b", 2), ("a`touch owned`;'", 3)])
    words = bash("failaware events type:a", tmp_path)
    assert len(words) == 3
    for word in words:  # typed as they were put, they are one word again
        typed = processes.run(
            ["bash", "-c", f"printf %s type:{word}"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert typed.stdout.startswith("type:a")
    assert not (tmp_path / "owned").exists()


@needs("fish")
def test_fish(folder):
    script = 'failaware completion fish | source; complete -C "$argv[1]"'
    home = environment(HOME=str(folder), XDG_CONFIG_HOME=str(folder / "config"))

    def fish(line):
        done = processes.run(
            ["fish", "--no-config", "-c", script, line],
            cwd=folder, env=home, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return {word.partition("\t")[0] for word in done.stdout.splitlines()}

    assert fish("failaware re") == {"recovered", "rejects", "requeue", "restore", "rebuild"}
    assert fish("failaware events status:D") == {"status:DEAD", "status:DISMISSED"}
    assert fish("failaware events type:shop.o") == {"type:shop.order"}


@pytest.mark.parametrize(
    ("shell", "start"),
    [
        pytest.param(["bash", "--norc", "-i"], 'eval "$(failaware completion bash)"', id="bash"),
        pytest.param(
            ["zsh", "-f", "-i"],
            'autoload -Uz compinit && compinit -u -D && eval "$(failaware completion zsh)"',
            id="zsh", marks=needs("zsh"),
        ),
    ],
)  # fmt: skip
def test_the_tab_key(folder, shell, start):
    leader, follower = pty.openpty()
    process = processes.Popen(
        shell, stdin=follower, stdout=follower, stderr=follower, cwd=folder, start_new_session=True,
        env=environment(PS1="ready> ", INPUTRC="/dev/null"),
    )  # fmt: skip
    os.close(follower)
    try:
        says(leader, "ready> ")
        os.write(leader, f"{start}; echo set''up\n".encode())
        says(leader, "setup", "ready> ")
        os.write(leader, b"failaware --no-pager clusters status:RESOL\t\n")
        says(leader, "No cluster matches the filter.")
        os.write(leader, b"failaware --no-pager events type:shop.o\t --json | grep -c event_id\n")
        says(leader, "\n2")
    finally:
        process.kill()
        process.wait(timeout=10)
        os.close(leader)


def says(leader, *texts, seconds=60):
    """Read until all of these have come, one after the other."""
    got, deadline = "", time.monotonic() + seconds
    for text in texts:
        while text not in got:
            assert time.monotonic() < deadline, (text, got)
            if select.select([leader], [], [], 0.1)[0]:
                got += os.read(leader, 65_536).decode("utf-8", "replace")
        got = got.partition(text)[2]


@pytest.mark.large
def test_an_answer_is_quick(folder):
    """Compared with a program that only loads argparse; a lookup in the store takes 100 ms at most."""

    def fastest(command, **env):
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(command, cwd=folder, env=environment(**env), stdout=subprocess.DEVNULL, check=False)
            times.append(time.perf_counter() - began)
        return min(times)

    line = "failaware events type:shop."
    asked = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/null",
    }
    plain = fastest([sys.executable, "-c", "import argparse, sqlite3"])
    assert fastest([f"{BIN}/failaware"], **asked) < plain * 3 + 0.1


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """A folder with two stores, which the settings there name as one group, and a store that is not there."""
    folder = tmp_path_factory.mktemp("group")
    for name in ("shop", "crm"):
        with Store.open(folder / f"{name}.db") as store:
            store.report_attempt(f"{name}.order", {}, error="ValueError: no")
    settings = folder / "failaware" / "inspector.toml"
    settings.parent.mkdir()
    settings.write_text(
        f'[groups.teams]\nshop = "{folder}/shop.db"\ncrm = "{folder}/crm.db"\ngone = "{folder}/gone.db"\n'
    )
    return folder


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("words", "offers"),
    [
        ("--db @te", {"teams"}),  # bash itself adds the text before an @
        ("--db @no", set()),
        ("--db sho", {"shop.db"}),
        ("--db @teams events sto", {"store:"}),
        ("--db @teams clusters !store:", {"shop", "crm", "gone"}),
        ("--db @teams events store:shop,c", {"shop,crm"}),
        ("--db @teams event ", {"1@shop", "1@crm"}),
        ("--db @teams clusters type:", {"shop.order", "crm.order"}),
        ("--db=shop.db --db crm.db events store:", {"shop", "crm"}),
        ("--db shop.db events sto", set()),
        ("--db @nothing event ", set()),
    ],
)
def test_several_stores(group, words, offers):
    assert bash(f"failaware {words}", group, XDG_CONFIG_HOME=str(group)) == offers
