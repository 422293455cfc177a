"""Files and streams: lines, pipes and followed files, read in pieces and recorded with what was rejected.

May touch: its source, the clock, and the store to record. `formats/` says what a producer's lines mean.
"""
