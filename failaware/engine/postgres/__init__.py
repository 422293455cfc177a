"""PostgreSQL: connections that read and write, the dialect, the schema and who may do what in it."""
