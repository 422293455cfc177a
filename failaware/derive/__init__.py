"""What the facts mean: fingerprint, fold, severity.

May touch: SQL over the facts and the derived tables. Pure given (facts, policy): no clock, no randomness, no files
but its own tables of rules.
"""

FINGERPRINT_VERSION = 3
"""Which rules made the templates. A change of them is a new version; facts stay as they are, a rebuild re-clusters."""
