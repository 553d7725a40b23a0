"""Frames of audio, each sent when it is time for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

RATE = 8000
"""Samples in a second of G.711, an octet each."""

FRAME = 160
"""Samples of 20 ms, the packet time that everybody takes (RFC 3551 section 4.2)."""

LONGEST = 8 * FRAME
"""Octets of the longest frame: a longer one would be heard in jerks, and outgrow a packet."""

BEHIND = 5 * FRAME / RATE
"""Seconds that a late process makes up for; what it is later than that is silence."""


class Playing:
    """
    Plays until the frames are over, or it is stopped.

    @ivar finished: fires with C{True} at the end of the last frame, with C{False} when stopped before.
    """

    def __init__(
        self,
        clock: IReactorTime,
        frames: Iterable[bytes],
        ready: Callable[[], bool],
        send: Callable[[bytes, bool], None],
        failed: Callable[[], None],
    ) -> None:
        """
        @param ready: may something be sent now?  While not, nothing of the frames is lost.
        @param send: sends a frame; with C{True} for the first one after a pause.
        @param failed: called while an exception of C{frames} is handled.
        """
        self.finished: Deferred[bool] = Deferred()
        self._clock = clock
        self._frames = iter(frames)
        self._ready = ready
        self._send = send
        self._failed = failed
        self._due = clock.seconds()
        self._paused = True
        self._stopped = False
        self._call: IDelayedCall | None = clock.callLater(0, self._tick)

    def stop(self) -> None:
        """No more; nothing after the end."""
        self._end(False)

    def _end(self, whole: bool) -> None:
        if self._stopped:
            return
        self._stopped = True
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        self.finished.callback(whole)

    def _tick(self) -> None:
        self._call = None
        now = self._clock.seconds()
        if now - self._due > BEHIND:
            self._due, self._paused = now, True
        while self._due <= now and not self._stopped:
            if not self._ready():
                self._due, self._paused = now + FRAME / RATE, True
                break
            try:
                frame = next(self._frames, None)
                if frame is not None and not 0 < len(frame) <= LONGEST:
                    raise ValueError(f"a frame of {len(frame)} octets; 1 to {LONGEST} can be played")
            except Exception:
                self._failed()
                self._end(False)
                return
            if frame is None:
                self._end(True)
                return
            self._send(frame, self._paused)
            self._paused = False
            self._due += len(frame) / RATE
        if not self._stopped:
            self._call = self._clock.callLater(max(self._due - now, 0), self._tick)


__all__ = ["FRAME", "RATE", "Playing"]
