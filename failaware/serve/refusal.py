"""A request that is not recorded."""


class Refusal(Exception):
    """Why a request is not recorded, as a sentence, with the HTTP status of the answer.

    Args:
        status: of the answer.
        reason: one sentence.
        retry_after_s: how many seconds the client should wait before it sends anything again.
    """

    def __init__(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.status, self.retry_after_s = status, retry_after_s
