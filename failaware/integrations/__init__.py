"""What other libraries report: logging, Sentry, Celery, RQ, pytest; one module per library, imported only on use.

May touch: its library, and the store to record. It never raises into, blocks or slows the program that it observes.
"""
