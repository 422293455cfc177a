"""The commands of docs/history.md, run as they stand on sample data."""

import re
import subprocess
import sys
from pathlib import Path

from tests.test_readme import run

HISTORY = (Path(__file__).parent.parent / "docs" / "history.md").read_text(encoding="utf-8")


def commands():
    for block in re.findall(r"^```sh\n(.*?)^```", HISTORY, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()


def test_every_command_of_the_page_on_history_runs(tmp_path):
    outputs = []
    for command in commands():
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
