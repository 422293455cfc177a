"""A widget with texts in the lines of its border above and below."""

from typing import TYPE_CHECKING, Any, Self

from textual.content import Content
from textual.geometry import Region

if TYPE_CHECKING:
    from textual.widget import Widget as Base
else:
    Base = object  # a widget gets the styles of its first base class only


class Framed(Base):
    """For another text in a border, Textual repaints all of the widget; this repaints that line."""

    _border_line: Region | None = None  # the only one that is repainted while its text is set

    def say_above(self, text: str | Content) -> None:
        """Set the text above; harmless, a string is no markup. The same again costs nothing."""
        self._say("border_title", text, 0)

    def say_below(self, text: str | Content) -> None:
        """Set the text below; harmless, a string is no markup. The same again costs nothing."""
        self._say("border_subtitle", text, self.outer_size.height - 1)

    def _say(self, name: str, text: str | Content, line: int) -> None:
        content = Content(text) if isinstance(text, str) else text
        if content.markup == (getattr(self, name) or ""):
            return
        left, above = self.content_offset
        self._border_line = Region(-left, line - above, self.outer_size.width, 1)
        setattr(self, name, content)
        self._border_line = None

    def refresh(self, *regions: Region, **options: Any) -> Self:
        """Repaint; of the border only the line whose text is another one."""
        return super().refresh(*(regions if self._border_line is None else (self._border_line,)), **options)
