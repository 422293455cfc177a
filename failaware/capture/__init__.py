"""Turns a call, an exception, an exit status or a text into a fact: validated, masked and bounded.

Below the store: no SQL, no clock. Nothing that a user's object does may prevent that a failure is recorded.
"""
