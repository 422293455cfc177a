"""The keys that scroll a text, the same in every pane."""

from typing import TYPE_CHECKING

from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from textual.widget import Widget as Base
else:
    Base = object  # a widget gets the styles of its first base class only

SCROLL_KEYS: list[BindingType] = [
    Binding("down,j", "scroll_down", "Down", show=False),
    Binding("up,k", "scroll_up", "Up", show=False),
    Binding("pagedown,ctrl+f", "page_down", "Page down", show=False),
    Binding("pageup,ctrl+b", "page_up", "Page up", show=False),
    Binding("ctrl+d", "half_page(1)", "Half a page down", show=False),
    Binding("ctrl+u", "half_page(-1)", "Half a page up", show=False),
    Binding("home,g", "scroll_home", "First", show=False),
    Binding("end,G", "scroll_end", "Last", show=False),
]


class Scrolling(Base):
    """A subclass has SCROLL_KEYS among its bindings: Textual reads those of widgets only."""

    def action_half_page(self, way: int) -> None:
        """So far down, or up."""
        self.scroll_relative(y=way * self.scrollable_content_region.height // 2, animate=False)
