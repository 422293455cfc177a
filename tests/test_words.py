"""The language of everything a person reads: words that the glossary or plain English replaces (docs/glossary.md)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTEAD = {  # a word that this project once used in a sense of its own: what to write
    "whoever": "name the subject",
    "anew": "again",
    "stands": "is, says, is listed",
    "is told": "is called with, gets",
    "by itself": "on its own; automatically",
    "in hand": "running",
    "healed": "recovered",
    "heals": "recovers",
    "comeback": "relapse",
    "comebacks": "relapses",
    "herd": "retry storm",
    "reckoning": "computation",
    "gathered": "grouped",
    "like failures": "similar failures",
    "at rest": "unresolved",
    "stranger": "new user",
    "heir": "new contributor",
}
HISTORY = {"docs/decisions.md", "CHANGELOG.md"}
FILES = sorted(
    path.relative_to(ROOT)
    for top in ("failaware", "tui", "sample_data", "docs", "README.md", "CONTRIBUTING.md")
    for path in ([ROOT / top] if top.endswith(".md") else (ROOT / top).rglob("*"))
    if path.suffix in {".py", ".sql", ".md", ".toml", ".txt"}
)
WORD = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, INSTEAD))})(?![\w-])", re.IGNORECASE)


@pytest.mark.parametrize("file", [file for file in FILES if str(file) not in HISTORY], ids=str)
def test_words(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    private = {
        f"line {number}: '{match[0]}', write: {INSTEAD[match[0].lower()]}"
        for number, line in enumerate(lines, 1)
        for match in WORD.finditer(line)
    }
    assert not private
