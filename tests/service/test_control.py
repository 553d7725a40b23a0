"""The control protocol, over a UNIX socket of the test's own."""

import os
import socket
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.lab.control import SetSwitches
from skypetrunk.service.control import (
    ControlRefused,
    ControlServer,
    ControlUnavailable,
    HangUp,
    IControlled,
    PlaceCall,
    PlacedCall,
    ask,
    askStatus,
)


@implementer(IControlled)
class Recorder:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.state: dict[str, object] = {"calls": []}
        self.asked: list[tuple[str, ...]] = []

    def status(self) -> Mapping[str, object]:
        """The state set by the test."""
        return self.state

    def placeCall(self, number: str, caller: str) -> Deferred[PlacedCall]:
        """Busy, or refused for the number 0."""
        if number == "0":
            raise ControlRefused("nobody is registered")
        self.asked.append(("place", number, caller))
        return succeed(PlacedCall("call-1", 486, "Busy Here"))

    def hangUp(self, call: str) -> None:
        """Never anything to hang up."""
        raise ControlRefused(f"there is no call {call!r}")


class ControlTests(TestCase):
    """Commands and their answers."""

    def setUp(self) -> None:
        """A server in a directory with a short name: socket paths are limited to 107 octets."""
        from twisted.internet import reactor

        self.reactor = reactor
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "control"
        self.controlled = Recorder()
        self.server = ControlServer(reactor, self.path, self.controlled)  # type: ignore[arg-type]
        self.server.startService()
        self.addCleanup(self.server.stopService)

    def test_interface(self) -> None:
        """The double provides what a server wants."""
        self.assertTrue(verifyObject(IControlled, self.controlled))

    def test_mode(self) -> None:
        """Nobody but the owner may connect, and the process's umask is as before."""
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        before = os.umask(0o022)
        os.umask(before)
        self.assertNotEqual(before, 0o177)

    async def test_status(self) -> None:
        """The state comes back whole, also when it is longer than an AMP value."""
        self.controlled.state = {"calls": [{"name": "\u20ac" * 1000, "number": n} for n in range(200)]}
        self.assertEqual(await askStatus(self.reactor, self.path), self.controlled.state)

    async def test_placeCall(self) -> None:
        """The answer of a call is told."""
        answer = await ask(self.reactor, self.path, PlaceCall, number="+442079460001", caller="caller")
        self.assertEqual(answer, {"call": "call-1", "status": 486, "reason": "Busy Here"})
        self.assertEqual(self.controlled.asked, [("place", "+442079460001", "caller")])

    async def test_refused(self) -> None:
        """What cannot be done is told in words, on both sides of a Deferred."""
        for command, arguments, text in (
            (PlaceCall, {"number": "0", "caller": ""}, "nobody is registered"),
            (HangUp, {"call": "x"}, "there is no call 'x'"),
        ):
            try:
                await ask(self.reactor, self.path, command, **arguments)
            except ControlRefused as error:
                self.assertEqual(str(error), text)
            else:
                self.fail("not refused")

    async def test_nobodyThere(self) -> None:
        """A socket nobody serves is one clear error."""
        path = self.path.with_name("other")
        try:
            await askStatus(self.reactor, path)
        except ControlUnavailable as error:
            self.assertIn(str(path), str(error))
        else:
            self.fail("not unavailable")

    async def test_tooLong(self) -> None:
        """A path that no socket can have is told as that, and nothing is logged."""
        path = self.path.with_name("x" * 108)
        try:
            await askStatus(self.reactor, path)
        except ControlUnavailable as error:
            self.assertEqual(str(error), f"{path}: is too long for a socket, at most 107 octets")
        else:
            self.fail("not unavailable")
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_hangs(self) -> None:
        """One that takes the connection and says nothing is given up."""
        path = self.path.with_name("hung")
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(str(path))
            hung.listen()
            try:
                await askStatus(self.reactor, path, 0.1)
            except ControlUnavailable as error:
                text = f"{path}: does not answer within 0.1 s: whoever listens there hangs, or was stopped"
                self.assertEqual(str(error), text)
            else:
                self.fail("not unavailable")

    async def test_others(self) -> None:
        """Another program's socket, or that of a trunk that is asked to be a lab, is told in a line."""
        from twisted.internet import reactor

        class Other(Protocol):
            answer = b""

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(self.answer)  # type: ignore[union-attr]

        other = Factory.forProtocol(Other)
        path = self.path.with_name("other")
        port = reactor.listenUNIX(str(path), other)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        lost, unread = "the connection ended before an answer came", "what it answers cannot be read"
        answers = (b"HTTP/1.0 400 Bad\r\n\r\n", unread), (b"\x00\x04_ans\x00\x011\x00\x00\x00\x00", lost)
        for Other.answer, wanted in answers:
            with self.assertRaises(ControlUnavailable) as caught:
                await askStatus(self.reactor, path)
            self.assertIn(f"{path}: {wanted}", str(caught.exception))
        with self.assertRaises(ControlUnavailable) as caught:
            await ask(self.reactor, self.path, SetSwitches, changes="{}")
        self.assertIn(f"{self.path}: cannot be asked that: the trunk's socket", str(caught.exception))
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_notOurs(self) -> None:
        """One that we may not open is not said to be nobody's."""
        self.path.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root may open all
        try:
            await askStatus(self.reactor, self.path)
        except ControlUnavailable as error:
            self.assertEqual(str(error), f"{self.path}: permission denied; who runs it may ask, and root")
        else:
            self.fail("not refused")
        finally:
            os.seteuid(user)

    def test_inUse(self) -> None:
        """A second server at the same path fails, and the first keeps its socket."""
        second = ControlServer(self.reactor, self.path, Recorder())  # type: ignore[arg-type]
        self.assertRaises(CannotListenError, second.listen)
        self.assertTrue(self.path.is_socket())

    async def test_leftover(self) -> None:
        """The socket of a process that is gone is replaced; another file at its place is not."""
        path = self.path.with_name("left")
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(path))
        self.assertTrue(path.is_socket())
        server = ControlServer(self.reactor, path, self.controlled)  # type: ignore[arg-type]
        server.startService()
        self.assertEqual(await askStatus(self.reactor, path), self.controlled.state)
        await server.stopService()
        self.assertFalse(path.exists())
        path.write_text("mine")
        self.assertRaises(CannotListenError, server.listen)
        self.assertEqual(path.read_text(), "mine")
