"""Other versions of failaware: copies of the code with a change, and stores as they would have left them."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

from tests.conftest import plain

RUN = """
import contextlib, io, json, sys
from failaware.cli.main import main
ended = []
for words in json.loads(sys.argv[2]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(["--db", sys.argv[1], *words])
    ended.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(ended))
"""
ROOT = Path(__file__).resolve().parent.parent.parent


def copy_of_the_code(folder, *changes, parts=("failaware", "tui", "sample_data")):
    """A copy of the code in a folder, each of whose `changes` is (file, text that occurs there once, other text)."""
    for part in parts:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, folder / part)
        _copy_bytecode(part, folder)
    for file, before, after in changes:
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(before) == 1, (file, before, text.count(before))
        (folder / file).write_text(text.replace(before, after), encoding="utf-8")
    return folder


def _copy_bytecode(part, folder):
    """Compiling everything takes longer than what most tests of a copy do; Python compiles what is changed."""
    for source in (ROOT / part).rglob("*.py") if (ROOT / part).is_dir() else ():
        bytecode = Path(cache_from_source(source))
        if bytecode.exists():
            kept = folder / source.relative_to(ROOT).parent / "__pycache__"
            kept.mkdir(exist_ok=True)
            shutil.copy2(bytecode, kept / bytecode.name)


def commands(folder, place, *lines):
    """What commands of the code in a folder print and end with, all run by one process."""
    done = python(folder, "-c", RUN, str(place), json.dumps(lines))
    assert done.returncode == 0, done.stderr
    return [tuple(ended) for ended in json.loads(done.stdout)]


def python(folder, *words, may_raise=False):
    """Runs Python with the code in a folder: not forked from a parent that has imported ours."""
    env = {name: value for name, value in os.environ.items() if name not in ("FAILAWARE_DB", "PYTHONPYCACHEPREFIX")}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert may_raise or "Traceback" not in done.stderr, done.stderr
    return done


def leave_as_another(path, *, failaware="0.0.9", tables=None, derived=True):
    """Make a store as another version would have left it: under its mark, with other severities than ours."""
    with plain(path) as db:
        ((mark,),) = db.execute("SELECT value FROM setting WHERE name = 'derivation'").fetchall()
        _, ours, views, _ = mark.split()
        text = " ".join((failaware, tables or ours, views, "0123456789abcdef"))
        db.execute("UPDATE setting SET value = ? WHERE name = 'derivation'", (text,))
        if derived:
            db.execute("UPDATE failure_cluster SET severity = 'LOW', rule = 'former', reason = 'by a former rule'")
            db.execute("DELETE FROM cluster_hour")
