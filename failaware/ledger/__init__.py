"""Integrity of the facts: seals, verify, export, restore, copy, archive, erase.

May touch: SQL over the facts. The time is passed in.
"""
