"""What the pages of docs/ show, run as it stands, on sample data."""

import re
import subprocess
import sys
from pathlib import Path

from sample_data.seed import seed
from tests.conftest import plain_sqlite
from tests.test_readme import run

DOCS = Path(__file__).parent.parent / "docs"


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def commands(name):
    for block in re.findall(r"^```sh\n(.*?)^```", page(name), re.MULTILINE | re.DOTALL):
        yield from block.splitlines()


def test_every_command_of_the_page_on_history_runs(tmp_path):
    outputs = []
    for command in commands("history.md"):
        if command.startswith("failaware") and ">" not in command:
            done = run(command, tmp_path)
        else:
            shell = command.replace("failaware", f"{sys.executable} -m failaware", 1)
            done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        outputs.append(done.stdout)
    everything = "\n".join(outputs)
    assert everything.count("holds   derived") == 3
    assert "by strict.toml" in everything
    assert "erased  event 2000" in everything


def test_every_query_of_the_page_on_the_schema_finds_something(tmp_path):
    seed(tmp_path / "failaware.db", events=2_000)
    queries = re.findall(r"^```sql\n(.*?)^```", page("schema.md"), re.MULTILINE | re.DOTALL)
    assert len(queries) == 4
    with plain_sqlite(tmp_path / "failaware.db") as db:
        for query in queries:
            assert db.execute(query).fetchall() != [], query


def test_the_page_on_the_schema_names_every_table_and_view(tmp_path):
    seed(tmp_path / "failaware.db", events=100)
    with plain_sqlite(tmp_path / "failaware.db") as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    named = set(re.findall(r"`([a-z_]+)`", page("schema.md")))
    assert {name for name in names if not name.startswith("sqlite_")} <= named
