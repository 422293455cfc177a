"""The store's two locks, and how a writer determines whether a commit whose answer was lost has succeeded.

`write_lock` is exclusive: who folds, claims or decides takes it. `recording` is shared by those who record events, and
who take no other lock; only who changes the schema excludes them. It also shows who is recording (settled.py).
Both are table locks, because any role that can connect can take an advisory lock. Their modes do not conflict with
readers, dumps or vacuum, and require a write privilege. The tables stay empty: autovacuum has no work there.

Each transaction writes its ticket, a number that increases, to the writer's own row of `last_commit`, which commits
with the rest or not at all. If the answer is lost, the writer reconnects and fences the ticket. Example, of writer w:

  ticket   transaction                        row (ticket, answer)   after the connection was lost: fence(w, 7)
  7        committed, its answer was lost     7, '… 41'              changes nothing, returns '… 41': event 41
  7        rolled back with the server        6, '… 40'              writes 7, null: not committed, goes on as 8
  7        still running on the server        locked by it           waits for it, then as one of the above
  7        not yet read by the server         6, '… 40'              writes 7, null; when the server reads it, it
                                                                     finds that 7 is taken, and refuses

A lost answer to the fence is no problem: a second fence finds the same row. The server's transaction ids cannot be used
for this: after a crash, ids that never reached the disk are assigned to other transactions.
"""

import os
import secrets
from collections.abc import Callable

from failaware.engine.base import Row
from failaware.engine.derivation import MARK
from failaware.engine.postgres import citus
from failaware.engine.postgres.dialect import COUNT, PINNED

TABLES = (
    "CREATE TABLE write_lock (empty BOOLEAN) WITH (autovacuum_enabled = off)",
    "CREATE TABLE recording (empty BOOLEAN) WITH (autovacuum_enabled = off)",
    """CREATE TABLE last_commit (
  writer TEXT PRIMARY KEY, ticket INTEGER NOT NULL, committed_at INTEGER NOT NULL, answer TEXT,
  recorded INTEGER NOT NULL DEFAULT 0)""",
)
"""Tables that exist only on PostgreSQL.

`recorded` counts the events that a writer has recorded; the row of no writer counts all others. Their sum is the number
of events that the store must have, which gaps in the ids do not show.
"""

COUNT_STORED = """
INSERT INTO last_commit
SELECT '', 0, 0, NULL, (SELECT count(*) FROM event_log) - (SELECT coalesce(sum(recorded), 0) FROM last_commit
                                                            WHERE writer <> '')
ON CONFLICT (writer) DO NOTHING
"""
"""SQL that begins to count, in a new store or in one that an older version has made."""

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
"""Explicit, to override the role's defaults: the first statement after the lock must see the last writer's commit."""

NOW_US = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
FORGOTTEN_US = 7 * 24 * 3_600 * 1_000_000
"""Rows of killed writers are deleted after this time; writers query their rows for a far shorter time."""

FLUSH = "SELECT pg_logical_emit_message(true, 'failaware', '')"
"""SQL that waits until all earlier commits of this session are on the disk (and on synchronous replicas)."""

FENCED = "FA001"
"""The SQLSTATE of a transaction whose ticket is taken: its writer has lost the connection and goes on without it."""

_BEGIN_WRITE = """
CREATE FUNCTION {schema}.begin_write(who text, number bigint) RETURNS text LANGUAGE plpgsql {pinned}
AS $$DECLARE node text; BEGIN
  {acquire};
  {take_ticket};
  {refuse_elsewhere};
  PERFORM set_config('synchronous_commit', 'off', true);
  RETURN concat({now}, ' ', ({stored_mark}));
END$$
"""
_FENCE = """
CREATE FUNCTION {schema}.fence(who text, number bigint) RETURNS text LANGUAGE plpgsql {pinned} AS $$BEGIN
  INSERT INTO {schema}.last_commit AS mine VALUES (who, number, {now})
  ON CONFLICT (writer) DO UPDATE SET ticket = excluded.ticket, answer = NULL WHERE mine.ticket < excluded.ticket;
  RETURN (SELECT answer FROM {schema}.last_commit WHERE writer = who);
END$$
"""
TAKE_TICKET = (
    "ON CONFLICT (writer) DO UPDATE SET ticket = excluded.ticket, committed_at = excluded.committed_at, "
    "answer = excluded.answer, recorded = mine.recorded + excluded.recorded WHERE mine.ticket < excluded.ticket"
)
"""The end of an INSERT into `last_commit AS mine`; no row is written if the ticket is taken."""

_OWNER = """
SELECT a.pid, a.usename, a.application_name
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c ON c.oid = l.relation
 WHERE l.granted AND l.pid <> pg_backend_pid() AND l.mode <> 'AccessShareLock'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND c.relnamespace = '{schema}'::regnamespace
 ORDER BY c.relname <> 'write_lock', c.relname <> 'recording', a.xact_start LIMIT 1
"""


class Tickets:
    """The tickets of one writer: its name, and the number of its last transaction."""

    def __init__(self) -> None:
        self.writer, self.number = "", 0
        self._pid = 0

    @property
    def last(self) -> tuple[str, int]:
        """The ticket of the last transaction."""
        return self.writer, self.number

    def next(self) -> tuple[str, int]:
        """The ticket of the next transaction; a child after a fork is another writer."""
        if self._pid != os.getpid():
            self.writer, self.number, self._pid = secrets.token_hex(16), 0, os.getpid()
        self.number += 1
        return self.last


def acquire(schema: str) -> str:
    """SQL that takes the exclusive lock until the transaction ends."""
    return f"LOCK TABLE {schema}.write_lock IN SHARE UPDATE EXCLUSIVE MODE"


def exclude_recorders(schema: str) -> str:
    """SQL that waits for records under way, and lets none begin until the transaction ends."""
    return f"LOCK TABLE {schema}.recording IN EXCLUSIVE MODE"


def share(schema: str) -> str:
    """SQL that takes the lock that recorders share, until the transaction ends."""
    return f"LOCK TABLE {schema}.recording IN ROW SHARE MODE"


def take_ticket(schema: str, answer: str, recorded: str) -> str:
    """Statements of a function that write its parameters `who` and `number` to the writer's row, with an answer.

    `recorded` is the number of events.
    """
    return (
        f"INSERT INTO {schema}.last_commit AS mine VALUES (who, number, {NOW_US}, {answer}, {recorded}) {TAKE_TICKET}; "
        f"IF NOT FOUND THEN RAISE EXCEPTION 'the ticket is taken' USING ERRCODE = '{FENCED}'; END IF"
    )


def stored_mark(schema: str) -> str:
    """SQL for the derivation mark, without a search path."""
    return MARK.replace("setting", f"{schema}.setting")


def functions(schema: str) -> tuple[str, ...]:
    """SQL that creates the functions that begin a write transaction (one round trip instead of three) and fence."""
    names = {
        "schema": schema,
        "pinned": PINNED,
        "acquire": citus.acquire(schema, acquire(schema)),
        "refuse_elsewhere": citus.refuse(schema),
        "take_ticket": take_ticket(schema, "''", "0"),
        "now": NOW_US,
        "stored_mark": stored_mark(schema),
    }
    return citus.function(schema), _BEGIN_WRITE.strip().format(**names), _FENCE.strip().format(**names)


def begin_write(schema: str) -> str:
    """SQL that takes the exclusive lock and the ticket, whose parts are the parameters; the commit will not be flushed.

    The result is one text with the time and the derivation mark: a row type would break callers that wait inside the
    function while another process replaces it.
    """
    return f"SELECT {schema}.begin_write(?, ?::bigint)"


def fence(schema: str) -> str:
    """SQL that keeps a ticket from committing from now on; its answer if it has committed, otherwise null."""
    return f"SELECT {schema}.fence(?, ?::bigint)"


def forget(schema: str, writer: str) -> str:
    """SQL that deletes a writer's own row, and those of writers killed long ago; harmless if a crash restores them.

    It does not wait for the holder of the exclusive lock, which may keep the row that counts their events.
    """
    begun = NOW_US.replace("clock_timestamp()", "now()")  # Citus evaluates no volatile function in a DELETE
    rows = f"writer = '{writer}' OR writer <> '' AND committed_at < {begun} - {FORGOTTEN_US}"
    total = "SELECT '', 0, 0, NULL::text, coalesce(sum(recorded), 0)::bigint FROM deleted"
    return (
        f"BEGIN READ WRITE; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '100ms'; "
        f"SET LOCAL search_path = {schema}; "
        f"WITH deleted AS (DELETE FROM last_commit WHERE {rows} RETURNING recorded) {COUNT.format(rows=total)}; COMMIT"
    )


def notify(schema: str) -> str:
    """SQL that tells waiting workers of a commit: in a transaction that is not flushed, because one at a time may."""
    return f"BEGIN READ WRITE; SET LOCAL synchronous_commit = off; NOTIFY {schema}; COMMIT"


def owner(query: Callable[[str], list[Row]], schema: str) -> str | None:
    """Describe the holder of the lock (server process, user, program) and how to end it; None if there is none."""
    rows = query(_OWNER.format(schema=schema))
    if not rows:
        return None
    ((pid, user, program),) = rows
    name = f"{user} ({program})" if program else user
    return (
        f"process {pid} of {name} has been writing for a long time; try again when it is done, or end it with "
        f"SELECT pg_terminate_backend({pid})"
    )
