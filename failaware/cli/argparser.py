"""argparse with one-line errors, suggestions for misspelled words, and examples at the end of the help."""

import argparse
import re
import sys
from collections.abc import Iterable
from typing import NoReturn

_CHOICE = re.compile(r"(argument .*: )?invalid choice: '(?P<word>.*)' \(choose from (?P<choices>.*)\)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """The parser of the whole line, and of each command."""

    def error(self, message: str) -> NoReturn:
        """Print the error on one line and exit with 2."""
        from failaware.text import one_line, shown_place

        if match := _CHOICE.fullmatch(message):
            choices = re.findall(r"[\w+-]+", match["choices"])
            near = nearest(match["word"], choices)
            if match[1] is None or "COMMAND" in match[1]:
                message = f"there is no command '{match['word']}'{near}"
            else:
                argument = match[1].removeprefix("argument ").strip(": ")
                message = f"{argument} takes {', '.join(choices)}, not '{match['word']}'{near}"
        see = " See" if message.endswith("?") else "; see"
        sys.stderr.write(f"failaware: {one_line(shown_place(message))}{see} '{self.prog} --help'\n")
        sys.exit(2)

    def refuse(self, words: list[str], above: "Parser") -> NoReturn:
        """Report the first unexpected word, with a suggestion."""
        word = words[0]
        if not word.startswith("-"):
            program = "; put -- before the program" if self.prog.endswith(" exec") else ""
            self.error(f"'{word}' is not expected here{program}")
        name = word.partition("=")[0]
        if name in self.options():
            self.error(f"{name} must follow the command: '{self.prog} {name}'")
        self.error(f"there is no option '{name}'{nearest(name, [*self.options(), *above.options()])}")

    def options(self) -> list[str]:
        """Its options, as they are written."""
        return list(self._option_string_actions)

    def format_help(self) -> str:
        """The help, with examples below it: loaded only when shown."""
        from failaware.cli.examples import EXAMPLES, drawn

        text = super().format_help()
        name = self.prog.removeprefix("failaware").strip()
        return text + "\n" + drawn(EXAMPLES[name]) if name in EXAMPLES else text


def nearest(word: str, words: Iterable[str], otherwise: str = "") -> str:
    """What to add to 'there is no X': a guess at what was meant, if one is near."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(words), 1) or get_close_matches(word.upper(), list(words), 1)
    return f"; did you mean '{close[0]}'?" if close else otherwise
