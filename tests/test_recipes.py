"""The recipes of docs/architecture.md, applied to a copy of the code: only the files that they name are changed."""

import json
import re
import shlex
import shutil

import pytest

from failaware import Inspector, Store
from tests.derive.versions import copy_of_the_code, python
from tests.ledger.test_copy import other  # noqa: F401 - a fixture
from tests.test_docs import DOCS, page


def applied(name, heading, folder):
    """A copy of the code in a folder, changed as a page says under a heading."""
    section = page(name).partition(f"### {heading}\n")[2].partition("\n### ")[0]
    (diff,) = re.findall(r"^```diff\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    copy_of_the_code(folder)
    (folder / "tests").mkdir()
    shutil.copy(DOCS.parent / "tests" / "test_house.py", folder / "tests")
    for file in re.split(r"^--- .*\n\+\+\+ b/", diff, flags=re.MULTILINE)[1:]:
        path, *hunks = re.split(r"\n@@\n", file)
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True) if hunk.endswith("\n") else (hunk + "\n").splitlines(keepends=True)
            before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
            if not (folder / path).exists():
                (folder / path).write_text(after, encoding="utf-8")
                continue
            text = (folder / path).read_text(encoding="utf-8")
            assert text.count(before) == 1, (path, before)
            (folder / path).write_text(text.replace(before, after), encoding="utf-8")


def run(command, folder):
    words = shlex.split(command)
    return python(folder, *(words[1:] if words[0] == "python" else ["-m", *words]), may_raise="shop.py" in words)


@pytest.mark.large
def test_a_severity_rule_is_added_as_the_page_says(tmp_path, samples):
    applied("architecture.md", "A severity rule", tmp_path)
    shutil.copy(samples(600), tmp_path / "failaware.db")
    (tmp_path / "mine.toml").write_text("widespread_events = 5\n")
    assert "by widespread" not in run("failaware clusters", tmp_path).stdout
    assert run("failaware rebuild --policy mine.toml", tmp_path).returncode == 0
    shown = run("failaware severity --json", tmp_path)
    assert json.loads(shown.stdout)["CRITICAL"] > 0
    assert "widespread" in run("failaware policy", tmp_path).stdout
    clusters = json.loads(run("failaware clusters --limit 100 --json", tmp_path).stdout)
    cluster = next(
        cluster for cluster in clusters if cluster["rule"] == "widespread"
    )  # other rules make worse ones, too
    assert cluster["severity"] == "CRITICAL"
    assert "widespread" in run(f"failaware explain cluster/{cluster['cluster_id']}", tmp_path).stdout


def test_a_column_is_added_as_the_page_says(tmp_path, samples):
    applied("architecture.md", "A column in a report", tmp_path)
    shutil.copy(samples(600), tmp_path / "failaware.db")
    assert re.search(r"events  recovered  unresolved", run("failaware clusters", tmp_path).stdout)


@pytest.mark.large
def test_a_report_is_added_as_the_page_says(tmp_path, samples):
    applied("architecture.md", "A report", tmp_path)
    shutil.copy(samples(600), tmp_path / "failaware.db")
    shown = run("failaware hours", tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.match(r"hour +severity +failures\n", shown.stdout)
    hours = json.loads(run("failaware hours --json", tmp_path).stdout)
    assert len(shown.stdout.splitlines()) == 1 + len(hours)
    assert len(json.loads(run("failaware hours --json --as-of 48h", tmp_path).stdout)) < len(hours)
    assert "as of" in run("failaware hours --as-of 48h", tmp_path).stdout
    assert "hours        failures by hour and severity" in run("failaware help", tmp_path).stdout
    assert "failaware hours --json" in run("failaware hours --help", tmp_path).stdout


SCREEN = """
import asyncio
from tui.app import InspectorApp
from tui.widgets.text_view import TextView

async def main():
    app = InspectorApp("failaware.db")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("u")
        while not (lines := app.screen.query_one(TextView).lines):
            await pilot.pause(0.02)
        print(app.screen.crumb, *(line.text for line in lines), sep="\\n")

asyncio.run(main())
"""


@pytest.mark.large
def test_a_screen_is_added_as_the_page_says(tmp_path, samples):
    applied("architecture.md", "A screen of the inspector", tmp_path)
    shutil.copy(samples(600), tmp_path / "failaware.db")
    (tmp_path / "screen.py").write_text(SCREEN)
    shown = run("python screen.py", tmp_path)
    assert shown.stderr == ""
    assert re.match(r"hours\n(.+  \d+\n)+$", shown.stdout)


def test_an_integration_is_added_as_the_page_says(tmp_path):
    applied("architecture.md", "An integration", tmp_path)
    program = "import sys\nsys.argv = ['shop']\n{}raise KeyError('amount')\n"
    watched = "from failaware import Store\nfrom failaware.integrations import excepthook\n"
    watched += "excepthook.install(Store.open('failaware.db'))\n"
    (tmp_path / "shop.py").write_text(program.format(""))
    alone = run("python shop.py", tmp_path)
    (tmp_path / "shop.py").write_text(program.format(watched))
    observed = run("python shop.py", tmp_path)
    assert (observed.returncode, observed.stdout) == (alone.returncode, alone.stdout)
    assert observed.stderr == alone.stderr.replace("line 3", "line 6")
    with Inspector.open(tmp_path / "failaware.db") as inspector:
        (event,) = inspector.events()
    assert (event.event_type, event.sync_status, event.last_error_type) == ("program.crashed", "DEAD", "KeyError")


def test_a_format_is_added_as_the_page_says(tmp_path):
    applied("architecture.md", "A format of input", tmp_path)
    records = [
        {"host": "web1", "short_message": "no stock", "level": level, "timestamp": 1.8e9} for level in (3, 6, "x")
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, records)))
    counts = json.loads(run("failaware ingest log.jsonl --json", tmp_path).stdout)
    assert (counts["recorded"], counts["ignored"], counts["rejected"]) == (1, 2, 0)
    with Inspector.open(tmp_path / "failaware.db") as inspector:
        (event,) = inspector.events()
    assert (event.event_type, event.sync_status, event.last_error) == ("gelf", "DEAD", "no stock")


MIGRATE = """
import sys
from failaware import Store
from failaware.ledger.verify import verify
with Store.open(sys.argv[1]) as store:
    store.record("a")
assert verify(sys.argv[1]).findings == ()  # its schema, too
Store.open(sys.argv[2]).close()
assert verify(sys.argv[2]).findings == ()
print("done")
"""


@pytest.mark.large
def test_a_migration_is_added_as_the_page_says(path, other, tmp_path):  # noqa: F811
    with Store.open(path) as store:
        store.record("a", source="shop")
    applied("architecture.md", "A migration", tmp_path)
    (tmp_path / "migrate.py").write_text(MIGRATE)
    done = run(f"python migrate.py '{path}' '{other}'", tmp_path)
    assert done.stdout == "done\n", done.stderr
