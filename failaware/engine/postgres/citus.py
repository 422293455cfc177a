"""Citus: a store whose schema is distributed ("schema-based sharding"), so that one node of a cluster has its tables.

Every node answers queries, but sequences, table locks, notifications and transaction snapshots are those of a single
node, and `citus_schema_move` moves only rows. So what coordinates writers is in rows of `last_commit` there:

  writer        ticket
  ''            the newest event id; who takes ids locks the row until the commit, so events become visible in order
  'write_lock'  meaningless: the row is locked instead of the table write_lock

Facts are recorded through any node, which then works as a client of the one that has the schema. Folding takes many
statements on temporary tables of the session, so it is refused elsewhere. Example, with nodes A and B:

  the schema is on A         a worker on A folds; a program on B records, and its worker gets: connect to A:5432
  citus_schema_move to B     waits for transactions that have written; the next fold on A gets: connect to B:5432

A writer whose URL names several hosts connects to the one that has the schema, and follows it when it is moved.
"""

from failaware.engine.postgres.dialect import PINNED, PostgresDialect

INSTALLED = "to_regclass('pg_catalog.pg_dist_schema') IS NOT NULL"
"""SQL: whether the database has Citus."""

DISTRIBUTED = "SELECT 1 FROM pg_dist_schema WHERE schemaid = '{schema}'::regnamespace"
SETTINGS = """SELECT set_config('plan_cache_mode', 'auto', false),
       set_config('enable_hashjoin', 'on', false),
       set_config('enable_mergejoin', 'on', false),
       set_config('citus.allow_nested_distributed_execution', 'on', false)"""
"""Citus cannot plan every statement before its parameters are known; results of parts of a statement have no index;
queries of triggers, and those in a WITH before an INSERT, are distributed queries within others."""

LOCAL_OBJECTS = {"event_ids"}
"""What exists only at the node that made the store, and is not used."""

ELSEWHERE = "FA003"
"""The SQLSTATE of a fold at a node that does not have the schema; the message is the address of the one that has."""

SENTENCE = (
    "{place}: this node of the Citus cluster does not have the store's schema, so it can only record and read; "
    "connect to {node}, which has it"
)

NODE = "SELECT {schema}.node()"
LOCAL_ONLY = "SET LOCAL citus.enable_ddl_propagation = off"
"""Makes objects at this node only, which any node may; without Citus it changes nothing."""

_NODE = """
CREATE FUNCTION {schema}.node() RETURNS text LANGUAGE plpgsql {pinned} AS $$DECLARE node text; BEGIN
  IF {installed} THEN
    SELECT CASE n.groupid WHEN here.groupid THEN '' ELSE concat(n.nodename, ':', n.nodeport) END
      FROM pg_dist_shard s JOIN pg_dist_placement p ON p.shardid = s.shardid
      JOIN pg_dist_node n ON n.groupid = p.groupid AND n.noderole = 'primary' CROSS JOIN pg_dist_local_group here
     WHERE s.logicalrelid = '{schema}.last_commit'::regclass INTO node;
  END IF;
  RETURN node;
END$$
"""
_ACQUIRE = """IF {schema}.node() IS NULL THEN
    {acquire};
  ELSE
    INSERT INTO {schema}.last_commit AS mine VALUES ('write_lock', 0, 9223372036854775807)
    ON CONFLICT (writer) DO UPDATE SET ticket = mine.ticket + 1;
  END IF"""
_REFUSE = """node := {schema}.node();
  IF node <> '' THEN
    RAISE EXCEPTION '%', node USING ERRCODE = '{elsewhere}';
  END IF"""
_TAKE_IDS = """
    UPDATE {schema}.last_commit
       SET ticket = CASE ticket WHEN 0 THEN (SELECT coalesce(max(event_id), 0) FROM {schema}.event_log) ELSE ticket END
                    + number
     WHERE writer = '' RETURNING ticket INTO newest"""


def function(schema: str) -> str:
    """SQL that creates the function `node`: null if the schema is not distributed, '' if it is at this node.

    Otherwise it returns the address of the node that has the schema. Once a transaction has written, that is final.
    """
    return _NODE.strip().format(schema=schema, pinned=PINNED, installed=INSTALLED)


def hosts(conninfo: str) -> list[str]:
    """The connection string for each host of one that names several; otherwise none."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    settings = conninfo_to_dict(conninfo)
    names = str(settings.get("host", "")).split(",")
    ports = str(settings.get("port", "")).split(",")
    ports = ports * len(names) if len(ports) == 1 else ports
    return [make_conninfo(conninfo, host=name, port=port) for name, port in zip(names, ports, strict=True) if names[1:]]


def acquire(schema: str, otherwise: str) -> str:
    """Statements of a function that lock the row of the exclusive lock; `otherwise`, without Citus."""
    return _ACQUIRE.format(schema=schema, acquire=otherwise)


def refuse(schema: str) -> str:
    """Statements of a function, with a variable `node`, that end a transaction that has written at another node."""
    return _REFUSE.format(schema=schema, elsewhere=ELSEWHERE)


def take_ids(schema: str) -> str:
    """A statement of a function that takes as many ids as `number`; `newest` becomes the last of them."""
    return _TAKE_IDS.strip().format(schema=schema)


class CitusDialect(PostgresDialect):
    """Fragments for a store in a distributed schema."""

    not_assigned = "event_id > (SELECT nullif(ticket, 0) FROM last_commit WHERE writer = '')"
    follow = """
UPDATE last_commit SET ticket = greatest(ticket, (SELECT max(event_id) FROM event_log)) WHERE writer = ''
"""
    recorders = "SELECT ''::text WHERE false"
    last_change = (
        "SELECT sum(ticket), sum(recorded), max(committed_at), count(*) FROM last_commit WHERE writer <> 'write_lock'"
    )
