"""The store's write lock, and how a writer determines whether a commit whose answer was lost has succeeded.

The lock is a table lock, because any role that can connect can take an advisory lock. Its mode conflicts with itself,
not with readers, dumps or vacuum, and requires a write privilege. The table stays empty: autovacuum has no work there.

Each transaction writes its writer's ticket to a row that no other writer changes; the row is committed together with
the rest of the transaction or not at all. The server's transaction ids cannot be used: after a crash, ids that never
reached the disk are assigned to other transactions.
"""

from collections.abc import Callable

from failaware.engine.base import Row
from failaware.engine.derivation import MARK
from failaware.engine.postgres.dialect import PINNED

TABLES = (
    "CREATE TABLE write_lock (empty BOOLEAN) WITH (autovacuum_enabled = off)",
    "CREATE TABLE last_commit (writer TEXT PRIMARY KEY, ticket INTEGER NOT NULL, committed_at INTEGER NOT NULL)",
)
"""Tables that exist only on PostgreSQL."""

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
"""Explicit, to override the role's defaults: the first statement after the lock must see the last writer's commit."""

NOW_US = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
FORGOTTEN_US = 7 * 24 * 3_600 * 1_000_000
"""Rows of killed writers are deleted after this time; writers query their rows for a far shorter time."""

_OWNER = """
SELECT a.pid, a.usename, a.application_name
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c ON c.oid = l.relation
 WHERE l.granted AND l.pid <> pg_backend_pid() AND l.mode <> 'AccessShareLock'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND c.relnamespace = '{schema}'::regnamespace
 ORDER BY c.relname <> 'write_lock', a.xact_start LIMIT 1
"""


def acquire(schema: str) -> str:
    """SQL that takes the lock until the transaction ends."""
    return f"LOCK TABLE {schema}.write_lock IN SHARE UPDATE EXCLUSIVE MODE"


def function(schema: str) -> str:
    """SQL that creates the function that begins a write transaction: one round trip instead of three."""
    return (
        f"CREATE FUNCTION {schema}.begin_write(who text, number bigint, channel text) RETURNS text "
        f"LANGUAGE plpgsql {PINNED} AS $$DECLARE now bigint; BEGIN {acquire(schema)}; now := {NOW_US}; "
        f"INSERT INTO {schema}.last_commit VALUES (who, number, now) ON CONFLICT (writer) "
        "DO UPDATE SET ticket = excluded.ticket, committed_at = excluded.committed_at; "
        "PERFORM pg_notify(channel, ''); "
        f"RETURN concat(now, ' ', ({MARK.replace('setting', f'{schema}.setting')})); END$$"
    )


def begin_write(schema: str) -> str:
    """SQL that takes the lock, writes the writer's ticket, and notifies all processes that wait for a commit.

    The result is one text with the time and the derivation mark: a row type would break callers that wait inside the
    function while another process replaces it. The parameters are the writer and the ticket.
    """
    return f"SELECT {schema}.begin_write(?, ?::bigint, '{schema}')"


def forget_killed(schema: str) -> str:
    """SQL that deletes the rows of writers that were killed before they deleted theirs."""
    return f"DELETE FROM {schema}.last_commit WHERE committed_at < {NOW_US} - {FORGOTTEN_US}"


def forget(schema: str, writer: str) -> str:
    """SQL that deletes a writer's own row; it is harmless if a server crash restores it."""
    return (
        "BEGIN READ WRITE; SET LOCAL synchronous_commit = off; "
        f"DELETE FROM {schema}.last_commit WHERE writer = '{writer}'; COMMIT"
    )


def last_ticket(schema: str, writer: str) -> str:
    """SQL for the ticket of the writer's last commit; it takes the lock, which waits for a commit in progress."""
    return f"{BEGIN}; {acquire(schema)}; SELECT ticket FROM {schema}.last_commit WHERE writer = '{writer}'"


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
