"""Checks from its beginning that an input is UTF-8 text; otherwise every line would be rejected."""

import re

from failaware.errors import UsageError

STANDARD_INPUT = "stdin"
"""The origin of rejects from standard input."""

_UNREADABLE = (  # the first bytes of a file, what it is, and what to do
    (b"\x1f\x8b", "compressed by gzip", "zcat {name} | failaware ingest -"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstdcat {name} | failaware ingest -"),
    (b"BZh", "compressed by bzip2", "bzcat {name} | failaware ingest -"),
    (b"\xfd7zXZ\0", "compressed by xz", "xzcat {name} | failaware ingest -"),
    (b"PK\3\4", "a zip archive", "unzip -p {name} | failaware ingest -"),
    (b"SQLite format 3\0", "a SQLite database", "failaware copy {name} STORE, if it is a store"),
    (b"\xff\xfe\0\0", "UTF-32", "iconv -f UTF-32 -t UTF-8 {name} | failaware ingest -"),
    (b"\0\0\xfe\xff", "UTF-32", "iconv -f UTF-32 -t UTF-8 {name} | failaware ingest -"),
    (b"{\0\0\0", "UTF-32", "iconv -f UTF-32LE -t UTF-8 {name} | failaware ingest -"),
    (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 {name} | failaware ingest -"),
    (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8 {name} | failaware ingest -"),
    (b"{\0", "UTF-16", "iconv -f UTF-16LE -t UTF-8 {name} | failaware ingest -"),
    (b"\0{", "UTF-16", "iconv -f UTF-16BE -t UTF-8 {name} | failaware ingest -"),
)
_MARKS = tuple(mark for mark, _, _ in _UNREADABLE if len(mark) > 1)
_HOLE = re.compile(rb"(?:^|(?<=\n))\0+")  # NULs between lines are left by truncations and power failures
_CHECKED = 1_024  # bytes
_SURELY_TEXT = 16  # bytes


def check_text(begins: bytes, name: str) -> None:
    """Check that an input is UTF-8 text, from its first bytes.

    Raises:
        UsageError: it is not; the message says what it is, and what to do.
    """
    for mark, kind, remedy in _UNREADABLE:
        if begins.startswith(mark):
            command = remedy.format(name="" if name == STANDARD_INPUT else name).replace("  ", " ")
            raise UsageError(f"{name} is {kind}, not text in UTF-8; use: {command}")
    text = _HOLE.sub(b"", begins[:_CHECKED])
    if b"\0" in text or _is_binary(text):
        raise UsageError(f"{name} is binary, not text in UTF-8; name JSON Lines, CloudEvents, OTLP/JSON or JUnit XML")


def _is_binary(text: bytes) -> bool:
    """Whether more than a quarter of the bytes are NULs or invalid UTF-8: more than a few damaged characters."""
    return text.count(0) + text.decode("utf-8", "replace").count("\ufffd") > max(8, len(text) // 4)


class TextRuns:
    """Tracks where the lines of an input stop being UTF-8 text (a compressed or UTF-16 part), and where it resumes."""

    def __init__(self) -> None:
        self._is_text = True

    def problem(self, line: bytes) -> str | None:
        """Return None if a line is text; else a message for the first line of the part, and "" for the others."""
        line = line.lstrip(b"\0")
        head = line[:_CHECKED]
        if self._is_text and head.isascii() and b"\0" not in head and not line.startswith(_MARKS):
            return None  # as nearly all lines
        if not self._is_text:
            self._is_text = _resumes(line)
            return None if self._is_text else ""
        kind = None
        if line.startswith(_MARKS):
            kind = next(kind for mark, kind, _ in _UNREADABLE if len(mark) > 1 and line.startswith(mark))
        elif not _is_binary(head):
            return None
        self._is_text = False
        return f"from here the input is {kind or 'binary'}, not text in UTF-8; skipped up to the next line of text"


def _resumes(line: bytes) -> bool:
    """Whether a line after binary ones is text: JSON, or too long to be printable by chance."""
    text = line.strip()
    try:
        printable = text.decode().replace("\t", " ").isprintable()
    except UnicodeDecodeError:
        return False
    return printable and (text[:1] + text[-1:] in (b"{}", b"[]") or len(text) >= _SURELY_TEXT)
