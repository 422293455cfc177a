"""SQLite: connections that read and write, its files, and turns at the one write lock."""
