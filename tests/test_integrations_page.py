"""The snippets of docs/integrations/*.md, run unchanged: their output is that of the comment or the output block."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import environments, processes
from tests.conftest import plain_sqlite
from tests.integrations.prefect_server import prefect_server
from tests.integrations.redis import redis_server

ROOT = Path(__file__).parent.parent
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "integrations").glob("*.md"))}
INDEX = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
INPUTS = ROOT / "sample_data" / "inputs"
BLOCK = re.compile(r"(?:^`(?P<file>[\w.]+)`:\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
QUEUES = {
    "arq": "unix://{}",
    "celery": "redis+socket://{}",
    "dramatiq": "unix://{}",
    "rq": "unix://{}",
    "taskiq": "unix://{}",
}
ENVIRONMENTS = {"airflow", "arq", "prefect"}  # pages whose library has an environment of its own
RUN = [name for name in PAGES if name != "follow"]
PASSING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "…"),  # what differs from run to run
    (r"\((?:now|in [^)]*|[^)]* ago)\)", "(…)"),
    (r"took \S+ \S+", "took …"),
    (r"by \S+:\d+(?:#[0-9a-f]{8})?", "by …"),
    (r"\d+(?:\.\d+)?% jitter", "…% jitter"),
    (r"\s+", " "),
)


def plain(text):
    """A text without what differs from run to run."""
    for pattern, instead in PASSING:
        text = re.sub(pattern, instead, text)
    return text.strip()


def environment(name=None):
    """The variables for the commands of a page."""
    python = environments.interpreter(name) if name in ENVIRONMENTS else sys.executable
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "FAILAWARE"))}
    return {**env, "TZ": "UTC", "PATH": f"{Path(python).parent}:{env['PATH']}"}


@contextmanager
def server(name):
    """Start what a page needs: yields what replaces its address in a text of the page, and variables."""
    if name in QUEUES:
        with redis_server() as socket:
            yield lambda text: re.sub(r"redis://localhost:6379(?:/0)?", QUEUES[name].format(socket), text), {}
    elif name == "prefect":
        with prefect_server() as settings:
            yield str, settings
    else:
        yield str, {"AIRFLOW__CORE__LOAD_EXAMPLES": "False"} if name == "airflow" else {}


def run(command, folder, env):
    return processes.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def until(expected, command, folder, env):
    """Run a command until it prints these lines: what was started in the background may not be so far yet."""
    deadline = time.monotonic() + 60
    while True:
        done = run(command, folder, env)
        output = done.stdout + done.stderr
        missing = [line for line in expected if plain(line) not in plain(output)]
        if not missing and done.returncode == 0:
            return
        assert command.startswith("failaware event"), (command, missing, output)
        assert time.monotonic() < deadline, (command, missing, output)
        time.sleep(0.2)


def run_lines(lines, shown, folder, env, background):
    """Run the lines; the last one prints what is shown."""
    for line in lines:
        command, _, expected = line.partition("  # ")
        if command.endswith(" &"):
            words = ["bash", "-c", "exec " + command.removesuffix(" &")]
            background.append(
                processes.Popen(words, cwd=folder, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
            )
        else:
            until([expected, *(shown if line is lines[-1] else ())], command.strip(), folder, env)


@pytest.mark.thinned
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.large) if name in ("airflow", "prefect") else name for name in RUN]
)
def test_the_snippets_of(name, tmp_path):
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    env, background, seen = environment(name), [], 0
    with server(name) as (at_home, variables):
        env |= variables
        blocks = [(block["language"], block["file"], at_home(block["text"])) for block in BLOCK.finditer(PAGES[name])]
        try:
            for (language, file, text), (following, _, shown) in zip(blocks, [*blocks[1:], ("", "", "")], strict=True):
                if language == "python":
                    (tmp_path / file).write_text(text)
                elif language == "sh":
                    lines = shown.splitlines() if following == "text" else []
                    run_lines(text.splitlines(), lines, tmp_path, env, background)
                seen += language != ""
        finally:
            for process in background:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)
    assert seen


UNTIL = """
import sqlite3, sys, time
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    try:
        with sqlite3.connect("file:failaware.db?mode=ro", uri=True) as db:
            if db.execute("SELECT count(*) FROM event_log").fetchone() == (int(sys.argv[1]),):
                sys.exit(0)
    except sqlite3.Error:
        pass  # it is not there yet
    time.sleep(0.05)
sys.exit("never")
"""


@pytest.mark.large
def test_the_snippet_of_follow(tmp_path):
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    (tmp_path / "until.py").write_text(UNTIL)
    copy, begin, move, write, kill, write_more, go_on = BLOCK.search(PAGES["follow"])["text"].splitlines()
    steps = ["set -me", copy, begin, "python until.py 3", move, write, "python until.py 4", kill, write_more]
    steps += [f"{go_on} & last=$!", "python until.py 5", "kill -INT $last", "wait $last"]
    done = run("\n".join(steps), tmp_path, environment())
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["1 recorded, 0 rejected"]), done
    with plain_sqlite(tmp_path / "failaware.db") as db:
        payloads = db.execute("SELECT event_payload FROM event_log ORDER BY event_id").fetchall()
    assert payloads[3:] == [('{"number": 18}',), ('{"number": 19}',)]


def test_the_sample_data_has_the_programs_as_they_are_shown():
    shown = {block["file"]: block["text"] for page in PAGES.values() for block in BLOCK.finditer(page) if block["file"]}
    assert shown == {path.name: path.read_text(encoding="utf-8") for path in INPUTS.glob("*.py")}


def test_the_index_leads_to_every_page():
    assert set(re.findall(r"\]\(integrations/(\w+)\.md", INDEX)) == PAGES.keys()
