"""The command line: one file a command, `COMMANDS` lists them; reports are drawn here and only here.

May touch: every room, the terminal, the clock. A report asks an Inspector and draws what it answers, as rich text or
as JSON; exit status 0: done, 1: done but something was rejected or stands too high, 2: the command or the store is
wrong.
"""
