"""The other end of ssh: questions about one store from standard input, answered on standard output."""

import queue
import threading
from typing import IO, Any

from failaware.errors import FailawareError, StoreError
from failaware.federation.questions import Questions
from failaware.federation.wire import LONGEST_LINE, PROTOCOL, line, parsed
from failaware.version import __version__


def serve(place: str, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until standard input ends. Nothing is written to the store."""

    def send(**message: Any) -> None:
        answers.write(line(message))
        answers.flush()

    greeting: dict[str, Any] = {"failaware": __version__, "protocol": PROTOCOL}
    try:
        questions = Questions(place, None)
    except FailawareError as error:
        send(**greeting, error=str(error))
        return
    waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, waiting, questions), daemon=True).start()
    send(**greeting)
    while (message := waiting.get()) is not None:
        try:
            answer = questions.ask(
                message["of"],
                message["ask"],
                message["args"],
                message["named"],
                lambda done, total: send(progress=[done, total]),
            )
        except FailawareError as error:
            send(error=type(error).__name__, text=str(error))
        except (KeyError, TypeError, AttributeError) as error:
            send(error="UsageError", text=f"the question is not as the protocol declares: {error}")
        else:
            send(answer=answer)
    questions.close()


def _read(requests: IO[bytes], waiting: "queue.SimpleQueue[dict[str, Any] | None]", questions: Questions) -> None:
    """Pass on what is asked, so that a running query can be interrupted, also by the end of input."""
    while text := requests.readline(LONGEST_LINE):
        try:
            message = parsed(text)
        except StoreError:
            break
        if "interrupt" in message:
            questions.interrupt()
        else:
            waiting.put(message)
    waiting.put(None)
    questions.interrupt()
