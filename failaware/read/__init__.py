"""Queries over a store: reports, filters, time travel.

May touch: SQL through a Reader, which cannot write. "Now" is passed in.
"""
