"""Being told to stop: the work ends at once, but nothing half-written stays behind."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKED_TO_STOP = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopped(BaseException):
    """A signal arrived; no Exception, so that nothing takes it for an error of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Turns the first signal that asks to stop into Stopped; further ones must not disturb cleaning up."""
    if threading.current_thread() is not threading.main_thread():  # Python hands signals to that one only
        yield
        return
    numbers = [getattr(signal, name) for name in _ASKED_TO_STOP if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
