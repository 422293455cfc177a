"""Questions to the reader, while a screen is in sight, and their answers."""

from collections.abc import Callable
from contextlib import ExitStack

from rich.text import Text

from failaware.text import one_line

from ..messages import Answered, Progress
from ..store_reader import Ask, reporting
from .time_travel import TimeTravelMixin

_PATIENCE_S = 0.2  # a screen whose answers take longer is painted without them


class AskingScreen(TimeTravelMixin):
    """A subclass says what it asks in `questions`, and shows answers in `answered_NAME`."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.troubles: dict[str, str] = {}
        self._unpainted = ExitStack()
        self.is_ready = False

    def tell_state(self) -> None:
        """Show the state of the store, and the troubles."""
        raise NotImplementedError

    def questions(self) -> dict[str, Ask]:
        """What to ask the store, by name, now and after each change."""
        raise NotImplementedError

    completed_by: str = ""
    """The question whose first answer completes the screen; until then it is not painted, since each paint is dear."""

    def on_mount(self) -> None:
        """Paint, and take keys, once the first answers are there."""
        if not self.completed_by:
            self.complete()
            return
        self._unpainted.enter_context(self.app.batch_update())
        self.set_timer(_PATIENCE_S, self.complete)

    def complete(self) -> None:
        """Paint from now on, and take the keys that were pressed before."""
        if not self.is_ready:
            self.is_ready = True
            self._unpainted.close()
            self.refresh()
            self.inspector_app.release_keys()

    def _compositor_refresh(self) -> None:
        """Textual paints the empty frame also during a batch."""
        if self.is_ready:
            super()._compositor_refresh()

    def on_screen_resume(self) -> None:
        """In sight: ask."""
        self.ask()
        self.tell_state()

    def on_screen_suspend(self) -> None:
        """Out of sight: cost nothing."""
        self.complete()
        self.inspector_app.reader.leave(self)

    def on_unmount(self) -> None:
        """Gone."""
        self.complete()
        self.inspector_app.reader.leave(self)

    def ask(self) -> None:
        """Ask everything again."""
        for name, ask in self.questions().items():
            self.inspector_app.reader.follow(self, name, ask)

    def on_answered(self, message: Answered) -> None:
        """Hand the answer to its method."""
        if not self.is_attached:
            return
        was = dict(self.troubles)
        self.troubles.pop(message.name, None)
        if message.trouble:
            self.troubles[message.name] = message.problem
        if was != self.troubles:
            self.tell_state()
        if message.problem and not message.trouble:
            self.troubled(message.name, message.problem)
        elif not message.trouble:
            getattr(self, f"answered_{message.name}")(message.answer)
        if message.problem or message.name == self.completed_by:
            self.complete()

    def progress_of(self, name: str) -> Callable[[int, int], None]:
        """Takes, on the reader's thread, how far the answer to a question is."""
        return reporting(lambda share: self.post_message(Progress(name, share)))

    def on_progress(self, message: Progress) -> None:
        """Show it."""
        if self.is_attached:
            self.progressed(message.name, message.share)

    def progressed(self, name: str, share: float) -> None:
        """The answer to this question is so far; a subclass that asks what takes long shows it."""

    def troubled(self, _name: str, problem: str) -> None:
        """An answer that is a problem: say it."""
        self.notify(Text(one_line(problem)).plain, severity="warning", markup=False)
