"""From a call, an exception, a program's end or a text to a fact: validated, masked and bounded.

Below the store; nothing that a user's object does may get in the way. May touch: what it describes. No SQL, no clock.
"""
