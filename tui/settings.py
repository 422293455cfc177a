"""Settings of the inspector, kept in the user's configuration folder: a TOML file that may also be edited by hand."""

import contextlib
import os
import re
import tomllib

from failaware.user_settings import settings_file


def kept(name: str) -> object:
    """A setting; None if it was not kept, or the file cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return tomllib.loads(settings_file().read_text(encoding="utf-8")).get(name)
    return None


def keep(name: str, value: str | bool) -> None:
    """Write one line, and leave the rest of the file as it is; a file that is not TOML is left alone."""
    file = settings_file()
    with contextlib.suppress(OSError, ValueError):
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        tomllib.loads(text)
        line = f"{name} = {str(value).lower()}" if isinstance(value, bool) else f'{name} = "{value}"'
        before = re.compile(rf"^{name}\s*=.*$", re.MULTILINE)
        changed = before.sub(line, text, count=1) if before.search(text) else f"{line}\n{text}"
        tomllib.loads(changed)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        unfinished.write_text(changed, encoding="utf-8")
        unfinished.replace(file)
