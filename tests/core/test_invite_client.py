"""Tests of L{skypetrunk.core.invite_client}, L{skypetrunk.core.request_client} and the leg's machine."""

from __future__ import annotations

from itertools import count

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core import invite_client, leg_machine, reliable_provisional, session_timer
from skypetrunk.core.authentication import Authentication
from skypetrunk.core.invite_client import InviteClient
from skypetrunk.core.request_client import RequestClient
from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IClientTransactionUser, IMessageChannel
from skypetrunk.testing import (
    MemoryCredentials,
    RecordingChannel,
    RecordingTransactionUser,
    countingToken,
)
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.core.callnet import Finder
from tests.core.messages import answer, outgoing, undecided

DIGEST = 'Digest realm="carrier.example", nonce="n1", qop="auth"'


class User:
    """Keeps what it is told of its INVITE."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []

    def inviteProgressed(self, client: InviteClient, response: Response) -> None:
        """Record it."""
        self.events.append(("progressed", response.status))

    def inviteAccepted(self, client: InviteClient, response: Response) -> None:
        """Record it."""
        self.events.append(("accepted", response.toAddress.tag))

    def inviteUnwanted(self, client: InviteClient, response: Response) -> None:
        """Record it."""
        self.events.append(("unwanted", response.toAddress.tag))

    def inviteSilent(self, client: InviteClient) -> None:
        """Note it."""
        self.events.append(("silent", None))

    def inviteFailed(self, client: InviteClient, status: int, response: Response | None, reason: str) -> None:
        """Record it."""
        self.events.append(("failed", (status, response is not None, reason)))

    def inviteTooBrief(self, client: InviteClient, response: Response) -> Request | None:
        """Record it; the INVITE stays refused."""
        self.events.append(("too brief", response.status))
        return None


class ClientCase(SynchronousTestCase):
    """A channel, its finder and the transactions on it."""

    def setUp(self) -> None:
        """Everything but the client."""
        self.clock = Clock()
        self.channel = RecordingChannel(self.clock, "tls:203.0.113.1:5061", "tls:198.51.100.2:40000")
        self.finder = Finder(self.channel)
        self.transactions = Transactions(self.clock, RecordingTransactionUser(), countingToken())
        credentials = MemoryCredentials({"carrier.example": ("account", "s3cret")})
        self.authentication = Authentication(credentials, countingToken())
        numbers = count(8)
        self.nextSequence = lambda: next(numbers)
        hop = parseURI("sip:carrier.example")
        assert isinstance(hop, SIPURI)
        self.hop = hop

    def answered(self, status: int, tag: str = "theirs", **more: str) -> None:
        """The peer answers what was sent last."""
        request = [sent for sent in self.channel.requests if sent.method != "ACK"][-1]
        self.transactions.messageReceived(answer(request, status, tag, **more), self.channel)


class InviteClientTests(ClientCase):
    """One INVITE sent."""

    def setUp(self) -> None:
        """An INVITE that is not sent yet."""
        super().setUp()
        self.user = User()
        self.client = InviteClient(
            lambda channel: outgoing(),
            self.hop,
            self.user,
            self.transactions,
            self.finder,
            self.authentication,
            self.nextSequence,
        )

    def test_everyInputIsDecided(self) -> None:
        """Each state knows what to do with each input, in the client and in the leg."""
        self.assertEqual(undecided(invite_client._machine), [])
        self.assertEqual(undecided(leg_machine.startLeg), [])
        self.assertEqual(undecided(session_timer._machine), [])
        self.assertEqual(undecided(reliable_provisional._machine), [])

    def test_interface(self) -> None:
        """It is what the transactions tell."""
        self.assertTrue(verifyObject(IClientTransactionUser, self.client))

    def test_progress(self) -> None:
        """100 is for us, other provisional responses are told; both say that a server has it."""
        self.client.start()
        self.assertFalse(self.client.anyProvisional)
        self.answered(100)
        self.assertTrue(self.client.anyProvisional)
        self.answered(183)
        self.assertEqual(self.user.events, [("progressed", 183)])

    def waiting(self) -> None:
        """An INVITE of a user that would wait 4 s."""
        self.client = InviteClient(
            lambda channel: outgoing(),
            self.hop,
            self.user,
            self.transactions,
            self.finder,
            self.authentication,
            self.nextSequence,
            lambda silent: self.clock.callLater(4, silent),
        )
        self.client.start()

    def test_silent(self) -> None:
        """Silence is told once; the INVITE lives on, and CANCEL waits for a server to show."""
        self.waiting()
        self.clock.advance(3.9)
        self.assertEqual(self.user.events, [])
        self.clock.advance(0.1)
        self.clock.advance(10)
        self.assertEqual(self.user.events, [("silent", None)])
        self.client.cancel()
        self.assertEqual([each.method for each in self.channel.requests], ["INVITE"])
        self.answered(100)
        self.assertEqual([each.method for each in self.channel.requests], ["INVITE", "CANCEL"])

    def test_notSilent(self) -> None:
        """Any answer ends the waiting, and so does CANCEL."""
        for status in (100, 180, 200, 486):
            self.waiting()
            self.answered(status)
        self.waiting()
        self.client.cancel()
        self.clock.advance(10)
        self.assertNotIn(("silent", None), self.user.events)

    def test_silentAfterChallenge(self) -> None:
        """The INVITE with credentials is waited for anew."""
        self.waiting()
        self.clock.advance(3)
        self.answered(401, WWW_Authenticate='Digest realm="carrier.example", nonce="n", algorithm=SHA-256')
        self.clock.advance(3.9)
        self.assertEqual(self.user.events, [])
        self.clock.advance(0.1)
        self.assertEqual(self.user.events, [("silent", None)])

    def test_forks(self) -> None:
        """The first 2xx is accepted, its retransmissions are silent, one with another tag is unwanted."""
        self.client.start()
        for tag in ("one", "one", "other", "other"):
            self.answered(200, tag)
        self.assertEqual(self.user.events, [("accepted", "one"), ("unwanted", "other")])

    def test_ackLater(self) -> None:
        """A 2xx that the user has not acknowledged yet is not acknowledged again either."""
        self.client.start()
        self.answered(200)
        self.answered(200)
        self.assertEqual(self.channel.summary(), ["INVITE"])
        self.client.acknowledge(answer(outgoing(), 200), outgoing("ACK"), self.hop)
        self.answered(200)
        self.assertEqual(self.channel.summary(), ["INVITE", "ACK", "ACK"])

    def test_refused(self) -> None:
        """A refusal is told with its response; its ACK is the transaction's."""
        self.client.start()
        self.answered(486)
        self.answered(486)
        self.assertEqual(self.user.events, [("failed", (486, True, "Busy Here"))])

    def test_challenged(self) -> None:
        """401 and 407 are answered one after the other; the second request has a CSeq of its own."""
        self.client.start()
        self.answered(407, Proxy_Authenticate=DIGEST)
        self.answered(401, WWW_Authenticate=DIGEST)
        invites = [sent for sent in self.channel.requests if sent.method == "INVITE"]
        self.assertEqual([invite.cseq.number for invite in invites], [7, 8, 9])
        self.assertIsNotNone(invites[2].header("Authorization"))
        self.assertIsNotNone(invites[2].header("Proxy-Authorization"))
        self.assertEqual(self.user.events, [])

    def test_nextNonce(self) -> None:
        """The nonce that came with the 2xx is used from then on (RFC 7616 section 3.5)."""
        self.client.start()
        self.answered(401, WWW_Authenticate=DIGEST)
        self.answered(200, Authentication_Info='nextnonce="n2"')
        [header] = self.authentication.headersFor("BYE", "sip:x")
        self.assertIn('nonce="n2"', header.value)

    def test_unreadableChallenge(self) -> None:
        """A challenge that cannot be read is final, as is one without a password."""
        for value in ("Digest", "Digest realm=", "", 'Basic realm="x"', DIGEST.replace("carrier", "other")):
            self.setUp()
            self.client.start()
            self.answered(407, Proxy_Authenticate=value)
            self.assertEqual([name for name, _ in self.user.events], ["failed"])

    def test_cancelBeforeFound(self) -> None:
        """CANCEL while the way is looked up: at once over, and the way leads nowhere."""
        self.finder.waiting = []
        self.client.start()
        self.client.cancel()
        self.assertEqual(self.user.events, [("failed", (487, False, "cancelled"))])
        self.finder.waiting[0].callback(self.channel)
        self.assertEqual(self.channel.sent, [])

    def test_cancelNeverStarted(self) -> None:
        """CANCEL before the start: it never starts."""
        self.client.cancel()
        self.client.start()
        self.assertEqual(self.finder.asked, [])

    def test_cancelTwice(self) -> None:
        """One CANCEL, however often it is wanted."""
        self.client.start()
        self.answered(180)
        self.client.cancel()
        self.client.cancel()
        self.assertEqual(self.channel.summary(), ["INVITE", "CANCEL"])

    def test_progressAfterCancel(self) -> None:
        """What rings after CANCEL is of no interest."""
        self.client.start()
        self.client.cancel()
        self.answered(180)
        self.assertEqual(self.user.events, [])

    def test_cannotBeMade(self) -> None:
        """An INVITE that cannot be made for the channel found has failed."""

        def makeRequest(channel: IMessageChannel) -> Request:
            raise ZeroDivisionError

        client = InviteClient(
            makeRequest,
            self.hop,
            self.user,
            self.transactions,
            self.finder,
            self.authentication,
            self.nextSequence,
        )
        client.start()
        self.assertEqual(self.user.events, [("failed", (503, False, "ZeroDivisionError"))])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RequestClientTests(ClientCase):
    """One other request sent."""

    def setUp(self) -> None:
        """A BYE that is not sent yet."""
        super().setUp()
        self.done: list[int] = []
        self.client = self.make(outgoing("BYE"))

    def make(self, request: Request) -> RequestClient:
        """The client of C{request}."""
        return RequestClient(
            request,
            self.transactions,
            self.finder,
            self.authentication,
            self.nextSequence,
            lambda status, response: self.done.append(status),
        )

    def test_answered(self) -> None:
        """The final status, once."""
        self.client.start(self.hop)
        self.answered(100)
        self.answered(200)
        self.answered(481)
        self.assertEqual(self.done, [200])
        self.assertTrue(verifyObject(IClientTransactionUser, self.client))

    def test_challenged(self) -> None:
        """A challenge is answered; a second one of the same realm is final."""
        self.client.start(self.hop)
        self.answered(401, WWW_Authenticate=DIGEST)
        self.answered(401, WWW_Authenticate=DIGEST.replace("n1", "n2"))
        self.assertEqual([sent.cseq.number for sent in self.channel.requests], [7, 8])
        self.assertEqual(self.done, [401])

    def test_nextNonce(self) -> None:
        """The nonce that came with the 2xx is used from then on (RFC 7616 section 3.5)."""
        self.client.start(self.hop)
        self.answered(401, WWW_Authenticate=DIGEST)
        self.answered(200, Authentication_Info='nextnonce="n2"')
        self.assertEqual(self.done, [200])
        [header] = self.authentication.headersFor("BYE", "sip:x")
        self.assertIn('nonce="n2"', header.value)

    def test_unreadableChallenge(self) -> None:
        """A challenge that cannot be read is final."""
        self.client.start(self.hop)
        self.answered(407, Proxy_Authenticate='Digest realm="')
        self.assertEqual(self.done, [407])

    def test_silence(self) -> None:
        """Timer F: 408."""
        self.client.start(self.hop)
        self.clock.advance(32)
        self.assertEqual(self.done, [408])

    def test_connectionLost(self) -> None:
        """
        12.2.1.1: the connection broke under it: it goes over another, with a number and a branch of its own;
        credentials that the peer may have seen are not sent twice.  Once only.
        """
        self.client = self.make(outgoing("BYE", To="<sip:2000@carrier.example>;tag=theirs"))
        self.client.start(self.hop)
        self.answered(401, WWW_Authenticate=DIGEST)
        other = RecordingChannel(self.clock, "tls:192.0.2.1:5061", "tls:198.51.100.1:40001")
        self.finder.channel = other
        self.transactions.channelLost(self.channel, ChannelFailed("closed"))
        first, second = self.channel.requests
        [again] = other.requests
        self.assertEqual([sent.cseq.number for sent in (first, second, again)], [7, 8, 9])
        self.assertEqual(len({sent.topVia.branch for sent in (first, second, again)}), 3)
        self.assertIn("198.51.100.1:40001", str(again.topVia))
        self.assertIsNone(again.header("Authorization"))
        self.assertEqual(self.done, [])
        self.transactions.channelLost(other, ChannelFailed("closed"))
        self.assertEqual(len(other.requests), 1)
        self.assertEqual(self.done, [503])

    def test_connectionLostOutside(self) -> None:
        """What belongs to no dialog is not sent again: whoever asked decides."""
        self.client = self.make(outgoing("OPTIONS"))
        self.client.start(self.hop)
        self.transactions.channelLost(self.channel, ChannelFailed("closed"))
        self.assertEqual((self.done, self.channel.summary()), ([503], ["OPTIONS"]))

    def test_unsent(self) -> None:
        """A channel that fails, a finder that fails or raises: 503."""
        self.channel.failure = "broken"
        self.client.start(self.hop)
        self.clock.advance(0)
        self.assertEqual(self.done, [503])
        self.setUp()
        self.finder.down = True
        self.client.start(self.hop)
        self.assertEqual(self.done, [503])
        self.setUp()
        self.finder.find = None  # type: ignore[assignment,method-assign]
        self.client.start(self.hop)
        self.assertEqual(self.done, [503])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
