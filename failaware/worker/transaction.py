"""The store's open transaction, as passed to a transactional handler."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from failaware.engine import Row, Writer
from failaware.engine.base import Parameters
from failaware.errors import StatementError, UsageError

_BETWEEN = re.compile(r"(?:[\s;\ufeff]|--[^\n]*|/\*.*?(?:\*/|\Z))*", re.DOTALL)
_UP_TO_SEMICOLON = re.compile(
    r"""(?: --[^\n]* | /\*.*?(?:\*/|\Z)
          | \b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z) | '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z)
          | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)
          | [^;] )*""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_WORD = re.compile(r"\w+")
_HAS_A_BODY = re.compile(r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP\w*\s+)?(?:TRIGGER|FUNCTION|PROCEDURE)\b", re.IGNORECASE)
_REFUSED = {
    *("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"),
    *("ATTACH", "DETACH", "VACUUM", "SET", "RESET", "DISCARD"),
}
_ALLOWED = re.compile(r"SET (CONSTRAINTS|LOCAL (STATEMENT_TIMEOUT|LOCK_TIMEOUT|WORK_MEM))\b")
_PRAGMA = re.compile(r"PRAGMA\s+(?:\w+\s*\.\s*)?(\w+)\s*(=)?", re.IGNORECASE)
_PRAGMAS_THAT_READ = {
    *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "database_list"),
    *("foreign_key_list", "foreign_key_check", "collation_list", "function_list", "compile_options"),
}


class Transaction:
    """The store's open transaction, for tables of a handler's own.

    Its writes are committed together with the handler's SYNCED attempt, or not at all. Statements are SQL of the
    store's engine and reach it unchanged, except for parameters: `?` with a sequence of values, `:name` with a
    mapping, on both engines. PostgreSQL's operators `?`, `?|` and `?&` work in a statement with named parameters or
    none; together with `?` for a parameter, write jsonb_exists, jsonb_exists_any and jsonb_exists_all instead.

    It ends when the handler returns: statements that would end it (COMMIT, ROLLBACK, SAVEPOINT) or change the
    connection (ATTACH, SET, most PRAGMAs) are refused.
    """

    def __init__(self, db: Writer) -> None:
        """Created by a worker."""
        self._db = db

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement (`sql`, with its `parameters`); returns the number of rows it changed.

        Raises:
            UsageError: the statement would end the transaction, or change the connection for what comes after it.
            StoreError: the store could not run it. What the database says against it is raised as its own driver does.
        """
        _check(sql)
        with _driver_errors():
            return max(
                self._db.run_untranslated(sql, parameters).rowcount, 0
            )  # drivers say -1 of a statement that changes no rows at all

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT (`sql`, with its `parameters`), as tuples.

        Raises:
            UsageError, StoreError: as `execute`.
        """
        _check(sql)
        with _driver_errors():
            return self._db.run_untranslated(sql, parameters).fetchall()


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Within it, what the database says against a handler's own statement is raised as its driver raised it."""
    try:
        yield
    except (StatementError, UsageError) as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None


def _check(sql: str) -> None:
    """Refuse what would break the transaction, in any of the statements between semicolons.

    Comments end as in SQLite, where they do not nest: what looks like a statement there is refused on PostgreSQL too.
    """
    start = _BETWEEN.match(sql).end()  # type: ignore[union-attr]
    while start < len(sql):
        if _HAS_A_BODY.match(sql, start):
            return  # its body has BEGIN, END and semicolons of its own
        if (refused := _refused(sql, start)) is not None:
            raise UsageError(
                f"{refused} is not for a handler to say: the worker commits the transaction when the handler returns, "
                "and rolls it back when it raises"
            )
        start = _BETWEEN.match(sql, _UP_TO_SEMICOLON.match(sql, start).end()).end()  # type: ignore[union-attr]


def _refused(sql: str, start: int) -> str | None:
    """The words by which the statement that begins there is refused."""
    head = _COMMENT.sub(" ", sql[start : start + 1_000])
    if pragma := _PRAGMA.match(head):
        reads = pragma[1].lower() in _PRAGMAS_THAT_READ and not pragma[2]
        return None if reads else f"PRAGMA {pragma[1]}"
    words = _WORD.findall(head.upper())[:3]
    if not words or _ALLOWED.match(" ".join(words)):
        return None
    if words[:2] == ["PREPARE", "TRANSACTION"]:
        return "PREPARE TRANSACTION"
    return words[0] if words[0] in _REFUSED else None
