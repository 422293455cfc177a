"""`python -m failaware`, and the console script."""

import os
import sys
from contextlib import suppress


def main() -> int:
    """Run the command line; returns the exit status."""
    import warnings

    from failaware.cli.main import main as run
    from failaware.warn import is_ours

    shown = warnings.formatwarning

    def one_line(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if is_ours(message):
            return f"failaware: {message}\n"
        return shown(message, category, filename, lineno, line)  # of a handler, or of a library: with its place

    warnings.formatwarning = one_line
    return run(sys.argv[1:])


if __name__ == "__main__":
    # `python -m` puts the current folder first on the path, where a folder named tui or sample_data would hide ours.
    with suppress(OSError):  # the folder is gone
        if sys.path and sys.path[0] in ("", os.getcwd()):
            del sys.path[0]
    sys.exit(main())
