"""`python -m failaware`, and the console script."""

import os
import sys
from contextlib import suppress


def main() -> int:
    """Run the command line; returns the exit status."""
    import warnings

    from failaware.cli.main import main as run

    warnings.formatwarning = lambda message, *_: f"failaware: {message}\n"
    return run(sys.argv[1:])


if __name__ == "__main__":
    # `python -m` puts the current folder first on the path, where a folder named tui or sample_data would hide ours.
    with suppress(OSError):  # the folder is gone
        if sys.path and sys.path[0] in ("", os.getcwd()):
            del sys.path[0]
    sys.exit(main())
