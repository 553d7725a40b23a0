"""The terminal closes (SIGHUP): the trunk ends as by any other signal, and hangs up."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning


def endOnHangUp(reactor: Any) -> None:
    """
    Have SIGHUP stop C{reactor}.  Without that it kills the process: calls stay up at the carrier, and cost.

    Who has it ignored, as C{nohup} does, is left alone.
    """
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return

    def stop() -> None:
        with suppress(ReactorNotRunning):  # it ends already
            reactor.stop()

    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(stop))


__all__ = ["endOnHangUp"]
