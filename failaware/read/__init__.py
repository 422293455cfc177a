"""Everything one can ask of a store.

May touch: SQL through a Reader, which cannot write. "Now" is passed in.
"""
