"""Records failures from files, pipes and followed files; input that cannot be parsed becomes a reject.

Uses its input, the clock, and a session to record. `formats/` has one parser per format.
"""
