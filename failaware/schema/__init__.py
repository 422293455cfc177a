"""The schema of a store: tables, views and guards as DDL, the catalogue of facts, and the steps of migrations.

May touch: its own SQL files. Executes nothing but in a private database in memory.
"""
