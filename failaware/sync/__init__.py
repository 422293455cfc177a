"""Trying: handlers, retry policy, worker.

May touch: the store to claim and append; threads and the clock in `worker.py` only.
"""
