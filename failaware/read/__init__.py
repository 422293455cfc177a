"""Everything one can ask of a store (once sketched as the reading half of the repositories).

May touch: SQL through a Reader, which cannot write. "Now" is passed in.
"""
