"""A PBX that places calls over UDP at a given rate."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import messages
from bench.processes import Failed

_PATIENCE = 8.0
"""Seconds for the last call's answer."""

_T1 = 0.5
"""Seconds until what was not answered is sent again (RFC 3261 section 17.1.1.1)."""


@dataclass
class Call:
    """
    One call that was answered.

    @ivar audio: our own audio port.
    @ivar media: where the other side wants to have audio.
    @ivar sent: when its INVITE was.
    @ivar heard: something was answered to the INVITE.
    """

    identifier: bytes
    audio: int
    to: bytes = b""
    target: bytes = b""
    media: tuple[str, int] | None = None
    over: bool = False
    sent: float = 0.0
    heard: bool = False


@dataclass
class Outcome:
    """
    What became of calls that were offered.

    @ivar accepted: seconds from each INVITE to its 200.
    @ivar refused: seconds from each INVITE to its 503.
    @ivar refusedIn: whole seconds since the first call in which any was refused so.
    @ivar failed: refused with another status.
    @ivar lost: never answered, or their BYE was not.
    @ivar bare: 503 without Retry-After.
    """

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    refusedIn: set[int] = field(default_factory=set)
    failed: int = 0
    lost: int = 0
    bare: int = 0

    @property
    def clean(self) -> bool:
        """Was each of them accepted, and ended?"""
        return not (self.refused or self.failed or self.lost)


def percentile(values: Sequence[float], share: int) -> float:
    """What C{share} percent of the values are below; 0 without any."""
    if len(values) < 2:
        return max(values, default=0.0)
    return statistics.quantiles(values, n=100)[share - 1]


class Caller:
    """
    A user agent that calls.

    @ivar failed: calls that were not answered, or not with 200.
    """

    def __init__(self, host: str, target: tuple[str, int], mediaPorts: Sequence[int]) -> None:
        """
        @param target: where the calls go.
        @param mediaPorts: the audio ports of its offers, in turn.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((host, 0))
        self._socket.connect(target)
        self._host, self._port = self._socket.getsockname()
        self._target = b"%b:%d" % (target[0].encode(), target[1])
        self._mediaPorts = mediaPorts
        self._places = itertools.cycle(range(len(mediaPorts)))
        self._calls: dict[bytes, Call] = {}
        self._numbers = itertools.count(1)
        self._run = os.urandom(4).hex().encode()
        self._outcome = Outcome()
        self._begun = 0.0
        self.failed = 0

    def isReady(self) -> bool:
        """Is OPTIONS answered with 200?  A trunk does so while it can carry calls."""
        asked = self._call(0)
        self._send(b"OPTIONS", asked, 1)
        self._receive(0.1, hangUp=False)
        return asked.over

    def options(self, seconds: float) -> bool:
        """Is OPTIONS answered within so long, with whatever status?"""
        asked = self._call(0)
        self._send(b"OPTIONS", asked, 1)
        end = time.monotonic() + seconds
        while not asked.heard and time.monotonic() < end:
            self._receive(0.1, hangUp=False)
        return asked.heard

    def place(self, count: int, rate: float, hold: bool) -> list[Call]:
        """
        Place calls.

        @param rate: calls per second.
        @param hold: leave them up, else hang up as soon as they are answered.
        @return: the calls that were answered; with C{hold} off those that were hung up, too.
        @raise Failed: some were not.
        """
        mine: list[Call] = []
        start = time.monotonic()
        end = start + count / rate + _PATIENCE
        self.failed = 0
        waiting = count
        while waiting and time.monotonic() < end:
            due = min(count, int((time.monotonic() - start) * rate) + 1)
            while len(mine) < due:
                mine.append(self._invite())
            self._receive(0.002, hangUp=not hold)
            waiting = count - sum(each.over if not hold else each.media is not None for each in mine)
            waiting -= self.failed
        if waiting or self.failed:
            raise Failed(f"{waiting} of {count} calls were never answered, {self.failed} refused")
        return mine

    def offer(self, count: int, rate: float) -> Outcome:
        """
        Place calls, whatever becomes of them, and hang up those that are answered.  What is not answered
        is sent again, as a PBX does.

        @param rate: calls per second.
        """
        outcome = self._outcome = Outcome()
        placed: deque[tuple[float, float, Call]] = deque()
        start, sent = time.monotonic(), 0
        self._begun = start
        end = start + count / rate + _PATIENCE
        self._calls.clear()
        while (sent < count or self._calls) and (now := time.monotonic()) < end:
            for _ in range(min(count, int((now - start) * rate) + 1) - sent):
                call = self._invite()
                placed.append((call.sent + _T1, _T1, call))
                sent += 1
            while placed and placed[0][0] <= now:
                _, interval, call = placed.popleft()
                if call.identifier not in self._calls:
                    continue
                placed.append((now + 2 * interval, 2 * interval, call))
                if call.media is not None:
                    self._send(b"BYE", call, 2)
                elif not call.heard:
                    self._send(b"INVITE", call, 1, messages.description(self._host, call.audio, None))
            self._receive(0.001, hangUp=True)
        outcome.lost = count - sent + len(self._calls)
        self._calls.clear()
        return outcome

    def hangUp(self, calls: Sequence[Call]) -> None:
        """
        End calls.

        @raise Failed: a BYE was not answered.
        """
        for each in calls:
            self._send(b"BYE", each, 2)
            self._receive(0.002, hangUp=False)
        end = time.monotonic() + _PATIENCE
        while not all(each.over for each in calls):
            if time.monotonic() > end:
                raise Failed("a BYE was not answered")
            self._receive(0.01, hangUp=False)

    def close(self) -> None:
        """Give back the port."""
        self._socket.close()

    def _invite(self) -> Call:
        call = self._call(next(self._places))
        call.sent = time.monotonic()
        self._send(b"INVITE", call, 1, messages.description(self._host, call.audio, None))
        return call

    def _call(self, place: int) -> Call:
        """A call to the number that the carrier answers with its media port of the same place."""
        call = Call(b"%b-%d@bench" % (self._run, next(self._numbers)), self._mediaPorts[place])
        call.target = b"sip:%b%d@%b" % (messages.NUMBER, place, self._target)
        call.to = b"<%b>" % call.target
        self._calls[call.identifier] = call
        return call

    def _send(self, method: bytes, call: Call, number: int, body: bytes = b"") -> None:
        here = b"%b:%d" % (self._host.encode(), self._port)
        branch = b"z9hG4bK%b%d%b" % (method[:1], number, call.identifier[:-6])
        lines = [
            b"%b %b SIP/2.0" % (method, call.target),
            b"Via: SIP/2.0/UDP %b;rport;branch=%b" % (here, branch),
            b"Max-Forwards: 70",
            b"From: <sip:100@%b>;tag=%b" % (here, call.identifier[:-6]),
            b"To: " + call.to,
            b"Call-ID: " + call.identifier,
            b"CSeq: %d %b" % (number, method),
            b"Contact: <sip:100@%b>" % here,
            b"Content-Length: %d" % len(body),
        ]
        if body:
            lines.append(b"Content-Type: application/sdp")
        with contextlib.suppress(ConnectionRefusedError):
            self._socket.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    def _receive(self, seconds: float, hangUp: bool) -> None:
        """Take what comes within C{seconds}."""
        self._socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError, ConnectionRefusedError):
            while True:
                self._received(self._socket.recv(65536), hangUp)
                self._socket.settimeout(0.0001)

    def _received(self, message: bytes, hangUp: bool) -> None:
        call = self._calls.get(messages.callID(message))
        if call is None:
            return
        if not message.startswith(b"SIP/2.0"):
            self._socket.send(messages.answer(message, b"200 OK"))
            return
        status, (number, method) = int(message[8:11]), messages.cseq(message)
        call.heard = True
        if status < 200:
            return
        if method in (b"BYE", b"OPTIONS"):
            call.over = method == b"BYE" or status == 200
            del self._calls[call.identifier]
            return
        call.to = messages.to(message)
        if status < 300:
            call.target = messages.contact(message) or call.target
        self._send(b"ACK", call, number)
        delay = time.monotonic() - call.sent
        if status >= 300:
            self.failed += 1
            self._outcome.failed += status != 503
            if status == 503:
                self._outcome.refused.append(delay)
                self._outcome.refusedIn.add(int(call.sent - self._begun))
                self._outcome.bare += b"\r\nRetry-After:" not in message
            del self._calls[call.identifier]
        elif call.media is None:
            self._outcome.accepted.append(delay)
            call.media = messages.media(message)
            if hangUp:
                self._send(b"BYE", call, 2)
