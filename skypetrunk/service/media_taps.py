"""Between calls and the plugins that listen to them: who is asked, and what holds if one fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.interfaces import (
    CallEnded,
    CallRequest,
    IDialogObserver,
    IMediaTap,
    IMediaTaps,
    LegStatistics,
    TappedPacket,
)
from skypetrunk.media.relay import Show


class _Listeners:
    """Those of one call, by the name of their plugin."""

    _log = Logger()

    def __init__(self, call: str, taps: Mapping[str, IMediaTap]) -> None:
        self._call = call
        self._taps = dict(taps)
        self._listening = tuple(taps.items())

    def callerSent(self, packet: bytes, time: float) -> bool:
        """See L{Show}."""
        return self._show(TappedPacket(packet, True, time))

    def calledSent(self, packet: bytes, time: float) -> bool:
        """See L{Show}."""
        return self._show(TappedPacket(packet, False, time))

    def _show(self, packet: TappedPacket) -> bool:
        for listening in self._listening:
            name, tap = listening
            try:
                tap.packetReceived(packet)
            except (Exception, SystemExit):
                format = "{call}: the plugin {plugin} failed as a tap, and hears no more of the call"
                self._log.failure(format, call=self._call, plugin=name)
                self._listening = tuple(each for each in self._listening if each is not listening)
        return bool(self._listening)

    def end(self) -> None:
        """The call is over for those that failed too: they may hold a file."""
        self._listening = ()
        for name, tap in self._taps.items():
            format = "{call}: the plugin {plugin} failed as a tap, at the end"
            with self._log.failuresHandled(format, call=self._call, plugin=name):
                tap.ended()


@implementer(IDialogObserver)
class MediaTaps:
    """Asks each plugin about each call."""

    _log = Logger()

    def __init__(self, plugins: Mapping[str, IMediaTaps]) -> None:
        self._plugins = dict(plugins)
        self._calls: dict[str, _Listeners] = {}

    def find(self, call: str) -> tuple[Show, Show] | None:
        """Who is shown what the caller sends, and what the called one does; C{None} where nobody listens."""
        listeners = self._calls.get(call)
        return None if listeners is None else (listeners.callerSent, listeners.calledSent)

    def callStarted(self, request: CallRequest) -> None:
        """Who listens?"""
        taps: dict[str, IMediaTap] = {}
        for name, plugin in self._plugins.items():
            format = "{call}: the plugin {plugin} failed as a tap, at the beginning"
            with self._log.failuresHandled(format, call=request.call, plugin=name):
                tap = plugin.tap(request)
                if tap is None:
                    continue
                if not IMediaTap.providedBy(tap):
                    raise TypeError(f"tap returns None or an IMediaTap, not {type(tap).__name__}")
                taps[name] = tap
        if taps:
            self._calls[request.call] = _Listeners(request.call, taps)

    def callAnswered(self, call: str) -> None:
        """Nothing new: early media was heard already."""

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """They are told."""
        listeners = self._calls.pop(ended.call, None)
        if listeners is not None:
            listeners.end()


__all__ = ["MediaTaps"]
