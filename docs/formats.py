"""Writes the table of formats in docs/integrations/formats.md from the data files: `python -m docs.formats`."""

import re
from pathlib import Path

from failaware.ingest.format import known_formats

PAGE = Path(__file__).parent / "integrations" / "formats.md"
_TABLE = re.compile(r"^\| format \|.*?\n\n", re.MULTILINE | re.DOTALL)


def table() -> str:
    """Return the table."""
    rows = ["| format | producer | a record is a failure if | key |", "| --- | --- | --- | --- |"]
    for each in known_formats():
        if "unwrap.text" in each.expressions:
            failure = "– (it contains lines, which are read)"
        elif "each" in each.expressions and "failure" not in each.expressions:
            failure = "– (it contains records, which are read)"
        else:
            failure = _code(each.expressions["failure"]) if "failure" in each.expressions else "– (all are)"
        key = each.expressions.get("map.key")
        rows.append(f"| `{each.name}` | {each.title} | {failure} | {_code(key) if key else '–'} |")
    return "\n".join(rows) + "\n\n"


def _code(expression: str) -> str:
    fence = "``" if "`" in expression else "`"
    return f"{fence}{expression}{fence}".replace("|", r"\|")


def page() -> str:
    """Return the page with the table as it must be."""
    return _TABLE.sub(lambda _match: table(), PAGE.read_text(encoding="utf-8"), count=1)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
