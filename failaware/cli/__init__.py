"""The command line: one module for each command, `commands.py` lists them, `runner.py` runs them.

May use every package, the terminal and the clock. A report asks an Inspector, and its answer is drawn as text or
printed as JSON. Exit status 0: done, 1: done but something was rejected or is too severe, 2: the command or the
store is wrong.
"""
