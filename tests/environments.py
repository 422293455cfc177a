"""Environments of their own for libraries whose dependencies contradict those of .venv: `make environments`.

Each has a file `requirements-NAME.txt`, and is in `.venv-NAME`. Where it is absent its tests are skipped, except in
`.ci/run`, where they fail.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def interpreter(name):
    """The Python of an environment, as a word of a command."""
    python = ROOT / f".venv-{name}" / "bin" / "python"
    if not (python.parent.parent / ".ready").exists():
        missing = f"there is no environment .venv-{name}: run `make environments`"
        if "FAILAWARE_ALL_ENVIRONMENTS" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return str(python)
