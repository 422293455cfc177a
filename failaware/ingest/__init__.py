"""Everything that turns the outside into facts.

May touch: its source, and `facts` to append. Reads the clock once, at the door. No SQL.
"""
