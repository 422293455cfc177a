"""From a call, an exception or a traceback's text to a fact: nothing that a user's object does may get in the way.

Below the store. May touch: what it describes, and the model. No SQL, no clock.
"""
