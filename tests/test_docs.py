"""The examples of the pages of docs/, run unchanged on sample data."""

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from failaware.cli.commands import COMMANDS
from failaware.cli.runner import add_options
from failaware.read.filter import CLUSTER_FIELDS, EVENT_FIELDS
from tests import processes
from tests.conftest import plain_sqlite
from tests.sizes import sized
from tests.test_readme import run

DOCS = Path(__file__).parent.parent / "docs"


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def commands(name):
    for block in re.findall(r"^```sh\n(.*?)^```", page(name), re.MULTILINE | re.DOTALL):
        yield from block.splitlines()


def walk(name, folder, samples):
    """What a page's commands print, one after another; each must succeed. What `seed` makes is the run's sample."""
    env = {key: value for key, value in os.environ.items() if key != "FAILAWARE_DB"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    outputs = []
    for command in commands(name):
        if command == "failaware seed":
            shutil.copy(samples(sized(600, 2_000)), folder / "failaware.db")
            outputs.append("")
            continue
        shell = ["bash", "-o", "pipefail", "-c", command]
        done = processes.run(shell, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        outputs.append(done.stdout)
    return outputs


@pytest.mark.large
def test_every_command_of_the_page_on_history_runs(tmp_path, samples):
    everything = "\n".join(walk("history.md", tmp_path, samples))
    assert everything.count("ok      derived") == 5
    assert "by strict.toml" in everything
    assert "erased  event 2000" in everything


@pytest.mark.large
def test_every_filter_of_the_page_on_filters_is_understood(tmp_path, samples):
    _, dead, high, retried, words, clusters, others = walk("filters.md", tmp_path, samples)
    assert "DEAD" in dead
    assert "HIGH" in high
    assert retried.splitlines()[1:]
    assert "No event" in words
    assert "CRITICAL" in clusters
    assert "email.send" not in others


def test_every_field_of_a_filter_is_on_the_page():
    for heading, fields in (("Fields of events", EVENT_FIELDS), ("Fields of clusters", CLUSTER_FIELDS)):
        section = page("filters.md").partition(f"## {heading}\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"`([a-z]+)`", "".join(re.findall(r"^\|[^|]*\|", section, re.MULTILINE)))) == set(fields)


@pytest.mark.large
def test_every_command_of_the_page_on_policies_runs(tmp_path, samples):
    _, shown, _, _, compared, _, now = walk("policy.md", tmp_path, samples)
    assert "".join(re.findall(r"^```toml\n(.*?)^```", page("policy.md"), re.MULTILINE | re.DOTALL)) in shown
    assert re.search(r"(CRITICAL|HIGH) → —", compared)
    assert json.loads(now)["multiple_events"] == 40


def test_the_rules_of_the_page_on_grouping_are_taken(tmp_path, samples):
    (rules,) = re.findall(r"^```toml\n(.*?)^```", page("grouping.md"), re.MULTILINE | re.DOTALL)
    (tmp_path / "rules.toml").write_text(rules)
    shutil.copy(samples(600), tmp_path / "failaware.db")
    assert run("failaware rebuild --grouping rules.toml", tmp_path).returncode == 0
    assert "the provider is slow" in run("failaware clusters", tmp_path).stdout


def test_every_command_of_the_page_on_json_gives_json(tmp_path, samples):
    _, health, events, cluster, critical, dead = walk("json.md", tmp_path, samples)
    assert json.loads(health)["dead"] > 0
    assert len(json.loads(events)) == 2
    assert {"impact", "transitions", "hours", "example"} <= set(json.loads(cluster))
    assert int(critical) > 0
    assert all(word.isdecimal() for word in dead.split())


def test_every_command_with_json_is_on_the_page():
    listed = set(re.findall(r"`([a-z]+)`", "".join(re.findall(r"^\|[^|]*\|", page("json.md"), re.MULTILINE))))
    take_it = set()
    for command in COMMANDS.values():
        parser = argparse.ArgumentParser()
        add_options(parser, command.load())
        if "--json" in parser.format_help():
            take_it.add(command.name)
    assert take_it == listed


def test_every_file_that_the_page_on_the_architecture_names_exists():
    prose = re.sub(r"^```.*?^```", "", page("architecture.md"), flags=re.MULTILINE | re.DOTALL)
    names = re.findall(r"`((?:failaware|tui|tests|docs|sample_data)/[\w./]*)`", prose)
    assert len(names) > 40
    assert [name for name in names if not (DOCS.parent / name).exists()] == []


def test_every_link_leads_somewhere():
    for file in [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text(encoding="utf-8")):
            path, _, place = link.partition("#")
            if path.startswith(("http://", "https://")):
                continue
            target = file.parent / path if path else file
            assert target.exists(), (file.name, link)
            if place:
                titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                names = {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}
                assert place in names, (file.name, link)


def test_pictures_show_no_path_of_the_machine_that_made_them():
    for picture in (DOCS / "pictures").glob("*.svg"):
        shown = re.sub(r"<[^>]*>|&#160;", " ", picture.read_text(encoding="utf-8"))
        assert set(re.findall(r"(?<![\w~.:/])/(?!tmp/shop/)\w[\w.-]*/[\w./-]+", shown)) == set(), picture.name


def test_every_query_of_the_page_on_the_schema_finds_something(samples):
    queries = re.findall(r"^```sql\n(.*?)^```", page("schema.md"), re.MULTILINE | re.DOTALL)
    assert len(queries) == 4
    with plain_sqlite(samples(sized(600, 2_000))) as db:
        for query in queries:
            assert db.execute(query).fetchall() != [], query


def test_the_page_on_the_schema_names_every_table_and_view(samples):
    with plain_sqlite(samples(sized(600, 2_000))) as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    named = set(re.findall(r"`([a-z_]+)`", page("schema.md")))
    assert {name for name in names if not name.startswith("sqlite_")} <= named
