"""
The control protocol: AMP over a UNIX socket that only its owner can open.

The running trunk and the practice carrier both serve it; the command-line tools speak
it.  No secret ever passes here: what is shown is state, counters and evidence.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError, ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IListeningPort, IReactorUNIX
from twisted.internet.protocol import ServerFactory
from twisted.protocols.amp import (
    AMP,
    AmpError,
    Argument,
    Boolean,
    Command,
    Integer,
    UnhandledCommand,
    Unicode,
)
from zope.interface import Interface

from skypetrunk.errors import LocalError, SkypetrunkError
from skypetrunk.service.config import LONGEST_SOCKET

__all__ = [
    "Control",
    "ControlRefused",
    "ControlServer",
    "ControlUnavailable",
    "HangUp",
    "IControlled",
    "PlaceCall",
    "PlacedCall",
    "Status",
    "ask",
    "askStatus",
]

_PAGE = 16_000
"""Characters of one answer: an AMP value holds at most 65,535 octets, a character up to four of them."""


PATIENCE = 10.0
"""Seconds until a program that listens and says nothing, since it hangs or was stopped, is given up."""


class ControlRefused(SkypetrunkError):
    """What was asked for cannot be done; the text says why."""


class ControlUnavailable(LocalError):
    """Nothing answers at a control socket, or it is not ours to ask."""


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """
    How a call that was asked for began.

    @ivar call: its name, for L{HangUp} and in the status.
    @ivar status: the final SIP status, 200 when answered; 408 when nobody did.
    @ivar reason: its reason phrase.
    """

    call: str
    status: int
    reason: str


class IControlled(Interface):
    """What stands behind a control socket.  A L{SkypetrunkError} raised here is told to who asked."""

    def status() -> Mapping[str, object]:
        """State, ready for JSON, without secrets."""

    def placeCall(number: str, caller: str) -> Deferred[PlacedCall]:
        """
        Call C{number}, as if C{caller} did.  Fires with the final answer, whatever it is.

        @raise ControlRefused: no call can be placed here or now.
        """

    def hangUp(call: str) -> None:
        """
        End a call.

        @raise ControlRefused: there is no such call.
        """


class Status(Command):
    """One page of the state: JSON, cut where it is too long for one answer."""

    arguments: ClassVar[list[tuple[bytes, Argument]]] = [(b"page", Integer())]
    response: ClassVar[list[tuple[bytes, Argument]]] = [(b"text", Unicode()), (b"more", Boolean())]
    errors = {ControlRefused: b"REFUSED"}


class PlaceCall(Command):
    """Place a call; the answer comes when the call was answered or refused."""

    arguments: ClassVar[list[tuple[bytes, Argument]]] = [(b"number", Unicode()), (b"caller", Unicode())]
    response: ClassVar[list[tuple[bytes, Argument]]] = [
        (b"call", Unicode()),
        (b"status", Integer()),
        (b"reason", Unicode()),
    ]
    errors = {ControlRefused: b"REFUSED"}


class HangUp(Command):
    """End a call."""

    arguments: ClassVar[list[tuple[bytes, Argument]]] = [(b"call", Unicode())]
    response: ClassVar[list[tuple[bytes, Argument]]] = []
    errors = {ControlRefused: b"REFUSED"}


def _refused(error: SkypetrunkError) -> ControlRefused:
    return error if isinstance(error, ControlRefused) else ControlRefused(str(error))


class Control(AMP):
    """One connection of a tool."""

    def __init__(self, controlled: IControlled) -> None:
        super().__init__()
        self._controlled = controlled
        self._snapshot = ""

    @Status.responder
    def status(self, page: int) -> dict[str, object]:
        """A snapshot is taken with page 0, so that the pages fit together."""
        if page == 0:
            try:
                self._snapshot = json.dumps(self._controlled.status(), indent=2)
            except SkypetrunkError as error:
                raise _refused(error) from error
        start = max(page, 0) * _PAGE
        return {"text": self._snapshot[start : start + _PAGE], "more": len(self._snapshot) > start + _PAGE}

    @PlaceCall.responder
    def placeCall(self, number: str, caller: str) -> Deferred[dict[str, object]]:
        """Answered when the call is."""

        async def place() -> dict[str, object]:
            try:
                placed = await self._controlled.placeCall(number, caller)
            except SkypetrunkError as error:
                raise _refused(error) from error
            return {"call": placed.call, "status": placed.status, "reason": placed.reason}

        return Deferred.fromCoroutine(place())

    @HangUp.responder
    def hangUp(self, call: str) -> dict[str, object]:
        """Answered at once."""
        try:
            self._controlled.hangUp(call)
        except SkypetrunkError as error:
            raise _refused(error) from error
        return {}


class _ControlFactory(ServerFactory):
    noisy = False

    def __init__(self, controlled: IControlled, protocol: Callable[[IControlled], Control]) -> None:
        self._controlled = controlled
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> Control:
        return self._protocol(self._controlled)


class ControlServer(Service):
    """
    Serves L{IControlled} at a UNIX socket with mode 0600.

    A socket left by a process that is gone is replaced; one in use is not.
    """

    def __init__(
        self,
        reactor: IReactorUNIX,
        path: Path,
        controlled: IControlled,
        protocol: Callable[[IControlled], Control] = Control,
    ) -> None:
        """
        @param protocol: makes what serves one connection: one that knows more commands, perhaps.
        """
        self._reactor = reactor
        self.path = path
        self._controlled = controlled
        self._protocol = protocol
        self._port: IListeningPort | None = None

    def listen(self) -> None:
        """
        Bind now, so that the caller can report what fails.

        @raise CannotListenError: somebody else listens there, or the directory cannot be written.
        """
        factory = _ControlFactory(self._controlled, self._protocol)
        self._removeLeftover()
        # bind() makes the socket before anybody can change its mode
        before = os.umask(0o177)
        try:
            self._port = self._reactor.listenUNIX(str(self.path), factory, mode=0o600)
        except OSError as error:
            raise CannotListenError(None, str(self.path), error) from error
        finally:
            os.umask(before)

    def _removeLeftover(self) -> None:
        """Whoever answers has the socket; one that nobody answers at belongs to a process that is gone."""
        if not self.path.is_socket():
            return
        with socket.socket(socket.AF_UNIX) as probe:
            # A connection waits only where the other side is too busy: it is there.
            probe.settimeout(0.5)
            try:
                probe.connect(str(self.path))
            except ConnectionRefusedError:
                self.path.unlink()
            except OSError:
                return
            else:
                taken = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
                raise CannotListenError(None, str(self.path), taken)

    def startService(self) -> None:
        """Bind, unless L{listen} was called before."""
        super().startService()
        if self._port is None:
            self.listen()

    def stopService(self) -> Deferred[None]:
        """Close and remove the socket."""
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallback(lambda _: None)


class _Asking(AMP):
    """The end that asks, whoever listens."""

    def dataReceived(self, data: bytes) -> None:
        """What another program says ends the connection, which is told; how AMP fails is not."""
        try:
            super().dataReceived(data)
        except Exception:
            self.transport.loseConnection()  # type: ignore[union-attr]  # connected, so it has one


async def ask(reactor: Any, path: Path, command: type[Command], **arguments: object) -> dict[str, Any]:
    """
    Send one command and give back its answer.

    @raise ControlUnavailable: nobody listens at C{path}, it went away, or may not be asked by us.
    @raise ControlRefused: what the other side says.
    """
    protocol = await _connected(reactor, path)
    try:
        return await _answer(protocol, path, command, **arguments)
    finally:
        protocol.transport.loseConnection()  # type: ignore[union-attr]  # connected, so it has one


async def askStatus(reactor: Any, path: Path, patience: float = PATIENCE) -> dict[str, Any]:
    """
    The whole state, as L{IControlled.status} gave it.  Raises as L{ask}.

    @param patience: seconds until each answer, which takes nobody long.
    """
    protocol = await _connected(reactor, path)
    pages: list[str] = []
    try:
        more = True
        while more:
            asked = Deferred.fromCoroutine(_answer(protocol, path, Status, page=len(pages)))
            answer = await asked.addTimeout(patience, reactor)
            pages.append(answer["text"])
            more = answer["more"]
    except TimeoutError as error:
        text = f"{path}: does not answer within {patience:g} s: whoever listens there hangs, or was stopped"
        raise ControlUnavailable(text) from error
    finally:
        protocol.transport.loseConnection()  # type: ignore[union-attr]  # connected, so it has one
    state: dict[str, Any] = json.loads("".join(pages))
    return state


async def _connected(reactor: Any, path: Path) -> AMP:
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        # Twisted has another exception on top of the system's.
        raise ControlUnavailable(f"{path}: is too long for a socket, at most {LONGEST_SOCKET} octets")
    try:
        protocol: AMP = await connectProtocol(UNIXClientEndpoint(reactor, str(path), timeout=5), _Asking())
        return protocol
    except (ConnectError, CancelledError, OSError) as error:
        if getattr(error, "osError", None) == errno.EACCES:
            text = f"{path}: permission denied; who runs it may ask, and root"
            raise ControlUnavailable(text) from error
        text = f"{path}: nothing answers at this control socket; does the trunk, or practice carrier, run?"
        raise ControlUnavailable(text) from error


async def _answer(protocol: AMP, path: Path, command: type[Command], **arguments: object) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = await protocol.callRemote(command, **arguments)
    except (ConnectionDone, ConnectionLost) as error:
        raise ControlUnavailable(f"{path}: the connection ended before an answer came") from error
    except UnhandledCommand as error:
        text = f"{path}: cannot be asked that: the trunk's socket for the practice carrier's, perhaps"
        raise ControlUnavailable(text) from error
    except AmpError as error:
        raise ControlUnavailable(f"{path}: what it answers cannot be read: another program's?") from error
    return answer
