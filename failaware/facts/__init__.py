"""Facts in, facts claimed (once sketched as `event_repo`): append, lease, decide; each folds what it appended.

May touch: SQL through a Writer. The time is passed in.
"""
