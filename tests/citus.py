"""A schema of its own in the Citus cluster that FAILAWARE_CITUS_URL names: the URL of its coordinator, for a superuser.

Where it is set, the tests with the fixture `path` run there instead of on a PostgreSQL of their own (docs/scale.md).
"""

import os
from contextlib import contextmanager

import psycopg

from failaware.engine.postgres.place import parse

URL = os.environ.get("FAILAWARE_CITUS_URL")
_NODES = "SELECT nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid"


def run(sql, *, url=None):
    """Run statements at the coordinator, or at another node; return the rows of the last one."""
    with psycopg.connect(parse(url or URL).conninfo, autocommit=True) as db:
        cursor = db.execute(sql)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []


@contextmanager
def distributed(schema):
    """A new distributed schema: the URLs of a store in it, of the whole cluster first, then of each node."""
    nodes = run(_NODES)
    before, _, after = URL.partition("?")[0].rpartition("/")
    user = before.rpartition("@")[0]
    hosts = [",".join(f"{name}:{port}" for name, port in nodes), *(f"{name}:{port}" for name, port in nodes)]
    run(f"SET citus.enable_schema_based_sharding = on; CREATE SCHEMA {schema}")
    try:
        yield [f"{user}@{host}/{after}?schema={schema}" for host in hosts]
    finally:
        run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def node_of(schema):
    """The number of the node that has the store's schema, and the address of each."""
    nodes = [f"{name}:{port}" for name, port in run(_NODES)]
    ((name, port),) = run(
        f"SELECT nodename, nodeport FROM citus_shards WHERE table_name = '{schema}.event_log'::regclass"
    )
    return nodes.index(f"{name}:{port}"), nodes


def move(schema, node):
    """Move a schema to the node of this number."""
    name, port = run(_NODES)[node]
    run(f"SELECT citus_schema_move('{schema}', '{name}', {port}, 'force_logical')")
