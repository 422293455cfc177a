"""Everything that turns the outside into facts (once sketched as `event_service`).

May touch: its source, and `facts` to append. Reads the clock once, at the door. No SQL.
"""
