"""The meaning of facts: fingerprints, the projection (fold), severities.

May touch: SQL over the facts and the derived tables. A pure function of facts and policy: no clock, no randomness, no
files except its own.
"""

FINGERPRINT_VERSION = 12
"""The version of the Python code that derives: templates, masks, built-in grouping, the order of the fold's statements.

Increment it if a change to such code derives something else from the same facts. Rules and SQL need no number: they are
digested (`version.py`)."""
