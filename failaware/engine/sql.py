"""SQL in files of `-- name` blocks, so that statements have a name, a comment and a home; and digests of it."""

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|\w+|[^\s\w]")
_DIGITS = 24  # of a digest that only tells versions apart
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)  # for readers of the file; the database would parse it each time


def load(beside: str, name: str) -> dict[str, str]:
    """Read the named statements of the file `name` that lies beside the module file `beside`.

    Raises:
        ValueError: a name stands twice; a bug of ours, found at import.
    """
    text = (Path(beside).parent / name).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{name}: a statement's name stands twice")
    return {key: _COMMENT.sub("", body).strip().rstrip(";") for key, body in zip(names, bodies, strict=True)}


def digest_of(texts: Iterable[str]) -> str:
    """A digest of statements, or of other texts, that comments and white space between words do not change."""
    return sha256("\0".join(map(_normalized, texts)).encode()).hexdigest()[:_DIGITS]


def _normalized(text: str) -> str:
    return " ".join(token for token in _TOKEN.findall(text) if not token.startswith("--"))
