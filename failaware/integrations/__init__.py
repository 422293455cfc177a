"""Records failures from other libraries: logging, Sentry, Celery, RQ, pytest. One module per library, imported on use.

Uses its library and the store. An integration never raises into, blocks or slows the program that it observes.
"""
