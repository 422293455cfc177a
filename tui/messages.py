"""What the reading thread tells the screens. Immutable."""

from enum import StrEnum

from textual.message import Message


class StoreIs(StrEnum):
    """The state of the store."""

    LIVE = "live"
    MISSING = "missing"
    DELETED = "deleted"
    REPLACED = "replaced"
    TROUBLED = "troubled"


class StoreState(Message):
    """The store came, went, or cannot be read; `text` says what is so and what to do.

    `note` is about a store that can be read: that another version of failaware derived what it shows.
    """

    def __init__(self, state: StoreIs, text: str = "", note: str = "") -> None:
        super().__init__()
        self.state = state
        self.text = text
        self.note = note


class Answered(Message):
    """The answer to what a screen asked under this name, or the sentence that says why there is none.

    `trouble`: it is the store that is in trouble, not the question; it is retried automatically.
    """

    def __init__(self, name: str, answer: object, problem: str = "", *, trouble: bool = False) -> None:
        super().__init__()
        self.name = name
        self.answer = answer
        self.problem = problem
        self.trouble = trouble


class Progress(Message):
    """How far the answer to a question is, from 0 to 1."""

    def __init__(self, name: str, share: float) -> None:
        super().__init__()
        self.name = name
        self.share = share


class Travelled(Message):
    """The reader answers as of this moment from now on (µs; None: as of now), or is on its way there (`busy`).

    `share` says how far it is, from 0 to 1; `problem` why it stayed where it was.
    """

    def __init__(self, at: int | None, *, busy: bool = False, share: float = 0.0, problem: str = "") -> None:
        super().__init__()
        self.at = at
        self.busy = busy
        self.share = share
        self.problem = problem
