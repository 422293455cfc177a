"""What the facts mean: fingerprint, fold, severity (once sketched as `cluster_repo` and `severity_service`).

May touch: SQL over the facts and the derived tables. Pure given (facts, policy): no clock, no randomness, no files
but its own tables of rules.
"""
