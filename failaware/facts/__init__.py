"""Appending facts and leasing events; each append folds the new facts.

May touch: SQL through a Writer. The time is passed in.
"""
