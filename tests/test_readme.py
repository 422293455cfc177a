"""The README's own snippets, unchanged: three events, a handler that fails, FAILED, DEAD, requeue, SYNCED."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests import processes

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run(command, cwd):
    words = shlex.split(command)
    if words[0] == "failaware":
        words = [sys.executable, "-m", *words]
    elif words[0] == "python":
        words[0] = sys.executable
    env = {name: value for name, value in os.environ.items() if name != "FAILAWARE_DB"}
    return processes.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_walk(tmp_path):
    record, handlers = blocks("python")[:2]
    (tmp_path / "record.py").write_text(record)
    (tmp_path / "shop.py").write_text(handlers)
    outputs = {}
    for line in blocks("sh")[1].splitlines():
        command, _, comment = line.partition("#")
        done = run(command.strip(), tmp_path)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        outputs[command.strip()] = done.stdout
        for word in re.findall(r"[A-Z]{4,}", comment):
            assert word in done.stdout.upper(), (command, word, done.stdout)
        if "fix the handler" in comment:
            (tmp_path / "shop.py").write_text(handlers.replace("raise ", "return  # raise "))
    last = run("failaware event 1", tmp_path).stdout
    assert "SYNCED" in last
    assert len(re.findall(r"^#\d FAILED", last, re.MULTILINE)) == 3
    assert "REQUEUE" in last


def test_what_a_script_tries_itself(tmp_path):
    (tmp_path / "attempts.py").write_text(blocks("python")[2] + "\n\nrender(7)\n")
    done = run("python attempts.py", tmp_path)
    assert done.returncode == 1
    assert "RuntimeError: report 7 has no template" in done.stderr
    shown = run("failaware events", tmp_path).stdout
    assert re.search(r"report\.render +DEAD", shown)
    assert re.search(r"billing\.sync +SYNCED", shown)


def test_what_a_program_logs(tmp_path):
    (tmp_path / "logs.py").write_text(blocks("python")[3])
    assert run("python logs.py", tmp_path).returncode == 0
    assert re.search(r"shop\.stock +DEAD.*no stock of A-1", run("failaware events", tmp_path).stdout)


def test_from_a_shell(tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "FAILAWARE_DB"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    for line in blocks("sh")[2].splitlines():
        command, _, expected = line.partition("  # ")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        for words in expected.split(", "):
            assert words.removeprefix("with ").replace("tar's error message", "tar: ") in done.stdout, (
                command,
                done.stdout,
            )


def test_every_command_of_the_readme_exists():
    from failaware.cli.commands import COMMANDS

    known = set(COMMANDS)
    for block in blocks("sh"):
        for command in re.findall(r"^failaware ([a-z]+)", block, re.MULTILINE):
            assert command in known
