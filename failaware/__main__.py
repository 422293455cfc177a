"""`python -m failaware`, and the console script."""

import os
import sys
from contextlib import suppress


def main() -> int:
    """Run the command line and return the exit status."""
    import warnings

    from failaware.cli.main import main as run
    from failaware.warn import is_ours

    default_format = warnings.formatwarning

    def one_line(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if is_ours(message):
            return f"failaware: {message}\n"
        return default_format(
            message, category, filename, lineno, line
        )  # of a handler or a library: with its file and line

    warnings.formatwarning = one_line
    return run(sys.argv[1:])


if __name__ == "__main__":
    # `python -m` puts the current folder first on the path; a folder named tui or sample_data would hide ours.
    with suppress(OSError):  # the current folder was removed
        if sys.path and sys.path[0] in ("", os.getcwd()):
            del sys.path[0]
    sys.exit(main())
