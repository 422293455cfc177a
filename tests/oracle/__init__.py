"""A second implementation of what the documentation says that facts mean, in plain Python, to compare the product with.

Written from README.md, docs/*.md and the comments of the schema, not from the SQL. Nothing here is incremental: every
number is computed from all facts each time it is asked for.
"""
