"""PostgreSQL: read and write connections, the dialect, the schema, roles and privileges."""
