"""Facts in, facts claimed: append, lease, decide; each folds what it appended.

May touch: SQL through a Writer. The time is passed in.
"""
