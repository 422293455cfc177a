"""The inspector: a terminal UI over `failaware.read`, strictly read-only.

May touch: an Inspector, `failaware.model`, `failaware.text`, Textual and rich. Imports within this folder are relative,
since the folder in which a user starts it may hold another `tui`.
"""
