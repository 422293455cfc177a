"""How far followed files have been read. Each function runs inside one transaction of a Writer, that of the facts."""

from typing import NamedTuple

from failaware.engine import Reader, Writer
from failaware.errors import UsageError

_SAVE = """
INSERT INTO followed (path, identity, read_to, line_no, digest, modified_ns) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (path, identity) DO UPDATE SET read_to = excluded.read_to, line_no = excluded.line_no,
  digest = excluded.digest, modified_ns = excluded.modified_ns WHERE followed.read_to = ?
RETURNING read_to
"""


class Position(NamedTuple):
    """How far a followed file has been read: `read_to` bytes, `line_no` lines.

    `identity` distinguishes the file from others at the same path, `digest` its content up to here from content that
    replaced it. `modified_ns` is the file's modification time when it was read.
    """

    path: str
    identity: str
    read_to: int
    line_no: int
    digest: str
    modified_ns: int


def of_path(db: Reader, path: str) -> list[Position]:
    """The positions of the file at this path and of earlier files at this path that may hold unread lines."""
    columns = ", ".join(Position._fields)
    return [Position(*row) for row in db.query(f"SELECT {columns} FROM followed WHERE path = ?", (path,))]


def move(db: Writer, position: Position, *, before: int) -> None:
    """Save a file's position if the stored one is `before` (bytes; 0 if the file is new).

    Raises:
        UsageError: it is not: another process follows the same file, and its lines would be recorded twice.
    """
    if not db.query(_SAVE, (*position, before)):
        raise UsageError(f"another process follows {position.path} into this store; stop one of the two")


def forget(db: Writer, position: Position) -> None:
    """Delete the position of a rotated file that was read to its end."""
    db.execute("DELETE FROM followed WHERE path = ? AND identity = ?", (position.path, position.identity))
