"""The store's write lock, and how a writer finds out whether a commit whose answer was lost has happened.

The lock is one on a table, since an advisory lock can be taken by any role that can connect. This mode excludes itself
but no reader, dump or vacuum, and needs the right to write. The table stays empty: autovacuum has nothing to do there.

Each transaction leaves its writer's ticket in a row that no other writer changes, so that the row and what else the
transaction wrote are there together or not at all. The server's transaction ids do not tell: after a crash it gives
those that never reached the disk to other transactions.
"""

from collections.abc import Callable

from failaware.engine.base import Row
from failaware.engine.derivation import MARK
from failaware.engine.postgres.dialect import PINNED

TABLES = (
    "CREATE TABLE write_lock (empty BOOLEAN) WITH (autovacuum_enabled = off)",
    "CREATE TABLE last_commit (writer TEXT PRIMARY KEY, ticket INTEGER NOT NULL, committed_at INTEGER NOT NULL)",
)
"""What a store on PostgreSQL has beside the tables that every engine has."""

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
"""Whatever the role's defaults are: the first statement behind the lock must see what the last writer committed."""

NOW_US = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
FORGOTTEN_US = 7 * 24 * 3_600 * 1_000_000
"""The rows of writers that were killed are deleted after this time, which is far longer than anybody asks for them."""

_OWNER = """
SELECT a.pid, a.usename, a.application_name
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c ON c.oid = l.relation
 WHERE l.granted AND l.pid <> pg_backend_pid() AND l.mode <> 'AccessShareLock'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND c.relnamespace = '{schema}'::regnamespace
 ORDER BY c.relname <> 'write_lock', a.xact_start LIMIT 1
"""


def acquire(schema: str) -> str:
    """Take the lock, until the transaction ends."""
    return f"LOCK TABLE {schema}.write_lock IN SHARE UPDATE EXCLUSIVE MODE"


def function(schema: str) -> str:
    """Make the function that begins a transaction: one statement to send and to answer, in place of three."""
    return (
        f"CREATE FUNCTION {schema}.begin_write(who text, number bigint, channel text) RETURNS text "
        f"LANGUAGE plpgsql {PINNED} AS $$DECLARE now bigint; BEGIN {acquire(schema)}; now := {NOW_US}; "
        f"INSERT INTO {schema}.last_commit VALUES (who, number, now) ON CONFLICT (writer) "
        "DO UPDATE SET ticket = excluded.ticket, committed_at = excluded.committed_at; "
        "PERFORM pg_notify(channel, ''); "
        f"RETURN concat(now, ' ', ({MARK.replace('setting', f'{schema}.setting')})); END$$"
    )


def begin_write(schema: str) -> str:
    """Take the lock, leave a writer's ticket, and notify all who wait for a commit.

    It gives the time and the mark of the derivation, in a text: as a row they would be lost on those who wait in the
    function while another one makes it again. The parameters are the writer and the ticket.
    """
    return f"SELECT {schema}.begin_write(?, ?::bigint, '{schema}')"


def forget_killed(schema: str) -> str:
    """Delete the rows of writers that did not delete theirs."""
    return f"DELETE FROM {schema}.last_commit WHERE committed_at < {NOW_US} - {FORGOTTEN_US}"


def forget(schema: str, writer: str) -> str:
    """Delete a writer's own row; nothing is lost where a crash of the server brings it back."""
    return (
        "BEGIN READ WRITE; SET LOCAL synchronous_commit = off; "
        f"DELETE FROM {schema}.last_commit WHERE writer = '{writer}'; COMMIT"
    )


def last_ticket(schema: str, writer: str) -> str:
    """The ticket of the writer's last commit; with the lock, since a commit under way holds it until it is seen."""
    return f"{BEGIN}; {acquire(schema)}; SELECT ticket FROM {schema}.last_commit WHERE writer = '{writer}'"


def owner(query: Callable[[str], list[Row]], schema: str) -> str | None:
    """Who has locked the store, and what to do about it: the server's process, the user and the program's name."""
    rows = query(_OWNER.format(schema=schema))
    if not rows:
        return None
    ((pid, user, program),) = rows
    name = f"{user} ({program})" if program else user
    return (
        f"process {pid} of {name} has been writing for a long time; try again when it is done, or end it with "
        f"SELECT pg_terminate_backend({pid})"
    )
