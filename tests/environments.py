"""Environments of their own, made by `make environments`.

`.venv-NAME` has the libraries of `requirements-NAME.txt`, whose dependencies contradict those of .venv; `.venv-node`
has SDKs for JavaScript. Where one is absent its tests are skipped, except in `.ci/run`, where they fail.
"""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def interpreter(name):
    """The Python of an environment, as a word of a command."""
    return str(_folder(name) / "bin" / "python")


def node_modules():
    """The folder of the packages for Node.js."""
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js")
    return str(_folder("node") / "node_modules")


def _folder(name):
    folder = ROOT / f".venv-{name}"
    if not (folder / ".ready").exists():
        missing = f"there is no environment .venv-{name}: run `make environments`"
        if "FAILAWARE_ALL_ENVIRONMENTS" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return folder
