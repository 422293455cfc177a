"""The user's settings: a TOML file that the inspector and the command line read."""

import os
from pathlib import Path


def settings_file() -> Path:
    """The path of the file, which need not exist."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "failaware" / "inspector.toml"
