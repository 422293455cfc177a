"""What the facts mean: fingerprint, fold, severity.

May touch: SQL over the facts and the derived tables. Pure given (facts, policy): no clock, no randomness, no files
but its own tables of rules.
"""

FINGERPRINT_VERSION = 3
"""Which code groups failures. What else derives is digested (`version.py`): raise this where Python code changes what
is derived from the same facts, such as templates, masks, built-in grouping, or the order of the fold's statements."""
