"""A list that is sorted by keys, or by a click on a title."""

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType

from ..columns import Context, Sort, in_order
from ..widgets.rows import Rows
from .filtered import FilteredScreen

Item = TypeVar("Item")


class SortedScreen(FilteredScreen):
    """A subclass names its orders, and shows its list in the order that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "sort(1)", "Sort", show=False),
        Binding("O", "reverse", "Reverse", show=False),
    ]
    sorts: ClassVar[tuple[Sort, ...]] = ()
    """The orders that `o`, and a click on a title, choose from."""
    _sort = 0
    _backwards = False

    def sorted_items(self, items: Sequence[Item], context: Context) -> list[Item]:
        """The items in the order that was chosen; its arrow is at the title of its column."""
        sort = self.sorts[self._sort]
        shown = {column.title for column, _ in self.listed.fitting}
        title = next((title for title in sort.titles if title in shown), "")
        self.listed.sorted_by = title, "▴" if self._backwards else "▾"
        return in_order(items, sort, context, backwards=self._backwards)

    @property
    def order_name(self) -> str:
        """The order that was chosen."""
        return self.sorts[self._sort].name + (", reversed" if self._backwards else "")

    def rearrange(self) -> None:
        """Show the list in the order that was chosen."""

    def action_sort(self, by: int = 1) -> None:
        """The next order."""
        self._sort, self._backwards = (self._sort + by) % len(self.sorts), False
        self.rearrange()

    def action_reverse(self) -> None:
        """The same order, the other way round."""
        self._backwards = not self._backwards
        self.rearrange()

    def on_rows_title_clicked(self, message: Rows.TitleClicked) -> None:
        """By the column of this title; once more, the other way round."""
        for place, sort in enumerate(self.sorts):
            if message.title in sort.titles:
                self._backwards = not self._backwards if place == self._sort else False
                self._sort = place
                self.rearrange()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A list of one order is not reversed."""
        return False if action == "reverse" and not self.sorts else super().check_action(action, parameters)
