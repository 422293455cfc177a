"""The language of everything a person reads: words that the glossary or plain English replaces (docs/glossary.md)."""

import io
import re
import tokenize
from pathlib import Path

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
    "whatever": "any",
    "wherever": "everywhere that",
    "beside": "next to; compared with",
    "besides": "also",
    "but for": "except",
    "no one": "no worker, no user; a passive",
    "by themselves": "automatically",
    "goes by": "depends on",
    "lives by": "depends on",
    "stood": "was",
    "are told": "are called with, get",
    "be told": "be called with, get",
}
VAGUE = {"found", "said", "lived", "told"}  # names of variables: name what the value is
EXEMPT = {"docs/decisions.md", "CHANGELOG.md", "tests/test_words.py", "tests/oracle/errors.py"}  # history, and data
FILES = sorted(
    path.relative_to(ROOT)
    for top in ("failaware", "tui", "sample_data", "docs", "tests", "benchmarks", "README.md", "CONTRIBUTING.md")
    for path in ([ROOT / top] if top.endswith(".md") else (ROOT / top).rglob("*"))
    if path.suffix in {".py", ".sql", ".md", ".toml", ".txt"} and "corpus" not in path.parts
)
WORD = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, INSTEAD))})(?![\w-])", re.IGNORECASE)


def test_words():
    private = [
        f"{file}:{number}: '{match[0]}', write: {INSTEAD[match[0].lower()]}"
        for file in FILES
        if str(file) not in EXEMPT
        for number, line in enumerate((ROOT / file).read_text(encoding="utf-8").splitlines(), 1)
        for match in WORD.finditer(line)
    ]
    assert private == []


def test_names_of_variables_say_what_the_value_is():
    vague = []
    for file in FILES:
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.suffix == ".py" and re.search(rf"\b({'|'.join(VAGUE)})\b", text):  # taking it apart takes long
            tokens = tokenize.generate_tokens(io.StringIO(text).readline)
            vague += [f"{file}:{token.start[0]}: {token.string}" for token in tokens if token.string in VAGUE]
    assert vague == []
