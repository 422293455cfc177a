"""Makes the pictures of the inspector in the README and docs/, from sample data: `python -m docs.pictures`."""

import asyncio
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from failaware import Inspector
from tui.app import InspectorApp
from tui.widgets.rows import Rows

HERE = Path(__file__).parent / "pictures"
_SHOP = Path("/tmp/shop")  # noqa: S108 - the frames of the sample data show where its code is: not on whose machine
_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # web fonts would be downloaded
_PICTURES = (
    ("overview", (140, 40), "failaware-dark", ()),
    ("cluster", (140, 40), "failaware-dark", ("enter",)),
    ("past", (120, 32), "failaware-dark", ("a", "shift+left", "shift+left", "left")),
    ("impact", (100, 24), "failaware-dark", ("slash", *"error:refused", "enter", "i")),
)


async def take(name, size, theme, keys):
    """Write one picture."""
    app = InspectorApp("demo.db")
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        while not (app.screen.query(Rows) and app.screen.query_one(Rows).window.items):
            await pilot.pause(0.05)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.5)
        await pilot.pause(0.5)
        svg = app.export_screenshot(title=f"failaware tui · {name}")
    (HERE / f"{name}.svg").write_text(_FONTS.sub("", svg), encoding="utf-8")


def main():
    """Write all pictures, from one store."""
    shutil.copytree(HERE.parent.parent / "sample_data", _SHOP / "sample_data", dirs_exist_ok=True)
    sys.path.insert(0, str(_SHOP))
    from sample_data import seed

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["XDG_CONFIG_HOME"] = folder  # a theme that is set here is not the user's choice
        seed("demo.db", events=2_000, seed=7)
        with Inspector.open("demo.db") as inspector:
            assert inspector.clusters()
        for picture in _PICTURES:
            asyncio.run(take(*picture))
    shutil.rmtree(_SHOP)


if __name__ == "__main__":
    main()
