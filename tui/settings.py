"""Settings of the inspector, kept in the user's configuration folder: a TOML file that may also be edited by hand."""

import contextlib
import os
import re
import tomllib

from failaware.user_settings import settings_file

_THEME = re.compile(r"^theme\s*=.*$", re.MULTILINE)


def kept_theme() -> str | None:
    """The name of the theme that was chosen last; None if none was, or the file cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        theme = tomllib.loads(settings_file().read_text(encoding="utf-8")).get("theme")
        return theme if isinstance(theme, str) else None
    return None


def keep_theme(name: str) -> None:
    """Write the name of the theme, and leave the rest of the file as it is; a file that is not TOML is left alone."""
    file = settings_file()
    with contextlib.suppress(OSError, ValueError):
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        tomllib.loads(text)
        line = f'theme = "{name}"'
        changed = _THEME.sub(line, text, count=1) if _THEME.search(text) else f"{line}\n{text}"
        tomllib.loads(changed)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        unfinished.write_text(changed, encoding="utf-8")
        unfinished.replace(file)
