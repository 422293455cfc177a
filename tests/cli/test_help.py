"""Help teaches by examples that work: each one, of commands and of topics, is run on sample data."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from failaware import Inspector, Store
from failaware.cli.commands import COMMANDS
from failaware.cli.examples import EXAMPLES
from failaware.cli.help import topics
from failaware.errors import FailawareError
from failaware.rules import RULES
from failaware.text import cells
from tests import processes
from tests.cli.test_commands import failaware
from tests.test_readme import README

TOPICS = Path(sys.modules["failaware.cli.help"].__file__).with_name("topics")
ENDLESS = (
    "--watch",
    "--follow",
    "tui",
    "failaware run shop",
    "--inspect",
)  # of these the help or another test is enough
SAME = ("refused by the bank", "denied by the bank", "not accepted by the bank", "sent back by the bank")
ONE_IS_FINE = ("--exit-code",)

SHOP = """
from failaware import Handlers

handlers = Handlers()
handlers.on("*")(lambda event: None)
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory, samples):
    """Sample data, with the files that examples name."""
    folder = tmp_path_factory.mktemp("help")
    shutil.copy(samples(600), folder / "failaware.db")
    with Store.open(folder / "failaware.db") as store:
        for error in ("no answer from pay1.example.org", "pay2.example.org has closed the connection", *SAME):
            store.report_attempt("payment.refund", {"error": error}, error=f"ConnectionError: {error}")
        with Inspector.open(folder / "failaware.db") as inspector:
            same = [inspector.clusters(f'type:payment.refund error:"{error}"')[0].cluster_id for error in SAME]
        store.merge_clusters(same, because="they are one")  # corrections 1 to 3
    (folder / "shop.py").write_text(SHOP)
    (folder / "strict.toml").write_text("multiple_events = 3\n")
    (folder / "grouping.toml").write_text("")
    (folder / "events.jsonl").write_text('{"type": "order.import", "payload": 1}\n')
    assert failaware("export", "--out", "all.jsonl", cwd=folder).returncode == 0
    (folder / "backup.sh").write_text("#!/bin/sh\nexit 0\n")
    (folder / "backup.sh").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def stands_for(sample):
    """42 is an event that is unresolved; 9929, 8127 and 1754 begin the ids of clusters, the last two of one type."""
    with Inspector.open(sample / "failaware.db") as inspector:
        event = inspector.events("status:DEAD", limit=1)[0].event_id
        cluster = str(inspector.clusters("status:unresolved", limit=1)[0].cluster_id)[:8]
        one, other = (
            str(inspector.clusters(f'type:payment.refund error:"{text}"')[0].cluster_id)[:8]
            for text in ("no answer", "has closed")
        )
    words = {"42": event, "event/42": f"event/{event}", "9929": cluster, "8127": one, "1754": other}
    return words | {"cluster/9929": f"cluster/{cluster}", "last:9929": f"last:{cluster}"}


def run(line, sample, stands_for, tmp_path):
    """Run it on a store of its own: no example depends on another."""
    shutil.copytree(sample, tmp_path, dirs_exist_ok=True)
    words = [str(stands_for.get(word, word)) for word in shlex.split(line)[1:]]
    if words[0] == "seed":
        (tmp_path / "failaware.db").unlink()
    return failaware(*words, cwd=tmp_path, stdin="")


def finite(line):
    return not any(word in line for word in ENDLESS) or "--until-idle" in line


def in_topics():
    for path in sorted(TOPICS.glob("*.txt")):
        for line in re.findall(r"^    (failaware .*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield pytest.param(line, id=f"{path.stem}: {line}")


LINES = [example.words for examples in EXAMPLES.values() for example in examples if finite(example.words)]


@pytest.mark.thinned
@pytest.mark.parametrize("line", [*dict.fromkeys(LINES), *in_topics()])
def test_every_example_runs(sample, stands_for, tmp_path, line):
    done = run(line, sample, stands_for, tmp_path)
    assert done.returncode in ({0, 1} if any(word in line for word in ONE_IS_FINE) else {0}), done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_has_examples_and_they_are_of_it():
    names = set(COMMANDS)
    assert set(EXAMPLES) == names | {""}
    for name, examples in EXAMPLES.items():
        assert len(examples) >= 2, name
        assert not name or all(example.words.startswith(f"failaware {name}") for example in examples), name


@pytest.mark.thinned
@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_a_command_is_its_help_and_ends_in_examples(command):
    shown = failaware(command, "--help", COLUMNS="80")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "examples:" in shown.stdout
    assert max(map(cells, shown.stdout.splitlines())) <= 90
    assert failaware("help", command, COLUMNS="80").stdout == shown.stdout


@pytest.mark.parametrize("topic", [name for name, _ in topics()])
def test_a_topic_is_a_screen(topic):
    shown = failaware("help", topic).stdout
    lines = shown.splitlines()
    assert len(lines) <= 36
    assert max(map(cells, lines)) <= 90
    assert lines[0].startswith(f"{topic}: ")


def test_help_lists_what_there_is():
    shown = failaware("help").stdout
    for name, about in topics():
        assert f"  {name:<13}{about}\n" in shown
    assert not {name for name, _ in topics()} & set(COMMANDS)


def test_without_a_command_there_is_help(tmp_path):
    for words in ((), ("--db", "x.db")):
        done = failaware(*words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "commands:" in done.stdout
        assert "Severity is derived" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evnts"], "there is no command 'evnts'; did you mean 'events'?"),
        (["health", "--jsn"], "there is no option '--jsn'; did you mean '--json'?"),
        (["events", "--limt=3"], "there is no option '--limt'; did you mean '--limit'?"),
        (["--verson", "health"], "there is no option '--verson'; did you mean '--version'?"),
        (
            ["--json", "clusters"],
            "--json must follow the command: 'failaware clusters --json'; see 'failaware clusters --help'",
        ),
        (["health", "--frobnicate"], "there is no option '--frobnicate'; see 'failaware health --help'"),
        (["health", "now"], "'now' is not expected here"),
        (
            ["severity", "--exit-code", "HIHG"],
            "--exit-code takes LOW, MEDIUM, HIGH, CRITICAL, not 'HIHG'; did you mean 'HIGH'?",
        ),
        (["completion", "fsh"], "did you mean 'fish'?"),
        (["events", "sttus:DEAD"], "there is no field 'sttus' to filter by; did you mean 'status'?"),
        (["events", "status:DEDA"], "'DEDA' is not a status; did you mean 'DEAD'?"),
        (["events", "status:xyz"], "'xyz' is not a status; there are PENDING, FAILED, DEAD, SYNCED, UNRESOLVED, DIS"),
        (["events", "severity:hihg+"], "'hihg+' is not a severity; did you mean 'HIGH'?"),
        (["clusters", "severity:xyz"], "'xyz' is not a severity; there are LOW, MEDIUM, HIGH, CRITICAL, and HIGH+"),
        (["clusters", "status:resolvd"], "'resolvd' is not a status of clusters; did you mean 'RESOLVED'?"),
        (["help", "filtres"], "there is no topic or command 'filtres'; did you mean 'filters'?"),
        (["help", "../main"], "'failaware help' lists what there is"),
        (["evil\x1b[31m\n"], "there is no command 'evil\\x1b[31m\\n'"),
    ],
)
def test_what_is_misspelt_is_guessed_on_one_line(sample, words, says):
    done = failaware(*words, cwd=sample)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


class TestExitStatus:
    """One for each status that 'failaware help exit-status' names."""

    def test_the_topic_names_them(self):
        text = (TOPICS / "exit-status.txt").read_text(encoding="utf-8")
        assert re.findall(r"^  (\d+) ", text, re.MULTILINE) == ["0", "1", "2", "3", "4", "130", "143"]
        base = FailawareError
        while base := next(iter(base.__subclasses__()), None):
            assert base.exit_status == 2

    def test_0_a_report_of_bad_things(self, sample):
        assert failaware("severity", cwd=sample).returncode == 0

    def test_4_one_of_several_stores_does_not_answer(self, sample):
        assert failaware("--db", "failaware.db", "--db", "none.db", "health", cwd=sample).returncode == 4

    def test_1_anything_at_the_level(self, sample):
        assert failaware("severity", "--exit-code", "HIGH", cwd=sample).returncode == 1

    def test_1_a_line_that_was_rejected(self, tmp_path):
        assert failaware("ingest", "-", stdin="nonsense\n", cwd=tmp_path).returncode == 1

    def test_1_something_that_does_not_verify(self, sample, tmp_path):
        import sqlite3

        shutil.copy(sample / "failaware.db", tmp_path)
        db = sqlite3.connect(tmp_path / "failaware.db")
        db.execute("UPDATE stored_state SET sync_status = 'SYNCED' WHERE event_id = 1")
        db.execute("UPDATE stored_state SET sync_status = 'DEAD' WHERE event_id = 2")
        db.commit()
        db.close()
        assert failaware("verify", cwd=tmp_path).returncode == 1

    def test_2_no_such_store(self, tmp_path):
        assert failaware("health", cwd=tmp_path).returncode == 2

    def test_2_no_such_option(self, sample):
        assert failaware("health", "--nope", cwd=sample).returncode == 2

    def test_130_interrupted(self, tmp_path):
        import signal

        process = processes.Popen(
            [sys.executable, "-m", "failaware", "ingest", "-"],
            cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ},
        )  # fmt: skip
        while not (tmp_path / "failaware.db").exists():
            assert process.poll() is None
        process.stdin.write(b'{"type": "a"}\n')
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (130, b"", b"")

    def test_exec_passes_on_the_programs_own(self, tmp_path):
        for status in (0, 7):
            assert failaware("exec", "--", "sh", "-c", f"exit {status}", cwd=tmp_path).returncode == status
        assert failaware("exec", "--", "no-such-program-here", cwd=tmp_path).returncode == 127
        assert failaware("exec", "--timeout", "0.2s", "--", "sleep", "20", cwd=tmp_path).returncode == 124
        assert failaware("exec", "--", "sh", "-c", "kill -9 $$", cwd=tmp_path).returncode == 128 + 9


def test_every_rule_of_severities_is_in_the_topic_and_in_the_readme():
    names = [rule.name for rule in RULES]
    topic = (TOPICS / "severities.txt").read_text(encoding="utf-8")
    assert re.findall(r"^  (\S+) +(?:CRITICAL|HIGH|MEDIUM|LOW)", topic, re.MULTILINE) == names
    number = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")[len(names)]
    assert f"{number} rules derive" in topic
    section = README.partition("## How severity is derived")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\S+)` \|", section, re.MULTILINE) == names
