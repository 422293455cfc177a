"""What is shown, as a file: exported, or opened in the user's editor."""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .documents import as_json


class Shown(NamedTuple):
    """The pane with the focus: the text, or the rows that are held of a list with so many."""

    text: str = ""
    items: Sequence[Any] = ()
    size: int = 0


def export(shown: Shown, name: str) -> Path:
    """Write it to a new file, and return its full path.

    Raises:
        FileExistsError: there is a file of this name.
        OSError: the file cannot be written.
        ValueError: the name does not end in .csv or .json, and these are rows.
    """
    path = Path(name).expanduser().absolute()
    if not shown.text and path.suffix not in {".csv", ".json"}:
        raise ValueError("end the name in .csv or .json")
    with path.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
        if shown.text:
            file.write(shown.text)
        elif path.suffix == ".json":
            json.dump([json.loads(as_json(item)) for item in shown.items], file, ensure_ascii=True, indent=1)
        else:
            import csv

            writer = csv.writer(file)
            writer.writerow(shown.items[0]._fields if shown.items else ())
            writer.writerows(shown.items)
    return path


def edit(text: str) -> str:
    """Open a copy of the text in $VISUAL or $EDITOR, else vi, until that ends; returns what went wrong, or nothing."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="failaware-") as folder:
        file = Path(folder) / "shown.txt"
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
        try:
            done = subprocess.run([*command, str(file)], check=False)  # noqa: S603 - the user's own editor
        except (OSError, IndexError) as error:
            return str(error)
    return f"{command[0]} ended with status {done.returncode}" if done.returncode else ""
