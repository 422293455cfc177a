"""The inspector: a terminal UI over `failaware.read`, strictly read-only.

`reader` is the one thread that reads; `screens` ask it and show its answers with `widgets`; `columns` and `documents`
turn what the Inspector answers into harmless text; `window`, `marks` and `filters` are pure. Imports within this folder
are relative, since the folder in which a user starts it may hold another `tui`.
"""
