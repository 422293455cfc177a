"""SQLite: read and write connections, files, and fairness of the write lock."""
