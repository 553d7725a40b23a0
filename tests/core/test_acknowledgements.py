"""Tests of L{skypetrunk.core.acknowledgements}: the ACKs of the 2xx answers to one INVITE."""

from __future__ import annotations

from skypetrunk.core.acknowledgements import Acknowledgements
from skypetrunk.testing import RecordingChannel
from skypetrunk.wire.message import Request, Response
from tests.core.messages import answer, outgoing
from tests.core.test_invite_client import ClientCase


class AcknowledgementTests(ClientCase):
    """RFC 3261 section 13.2.2.4."""

    def setUp(self) -> None:
        """An INVITE that went another way than its dialog's requests go."""
        super().setUp()
        self.invited = RecordingChannel(self.clock, "tls:203.0.113.9:5061", "tls:198.51.100.2:40001")
        self.acknowledgements = Acknowledgements(self.transactions, self.finder)

    def accepted(self, tag: str = "one") -> Response:
        """A 2xx of the branch C{tag}."""
        return answer(outgoing(), 200, tag)

    def acknowledge(self, tag: str = "one", ack: Request | None = None) -> None:
        """The ACK of the branch C{tag}."""
        self.acknowledgements.send(self.accepted(tag), ack or outgoing("ACK"), self.hop, self.invited)

    def test_first(self) -> None:
        """One 2xx of each branch is the first, and none is acknowledged before its user does."""
        tags = ("one", "one", "other", "other")
        first = [self.acknowledgements.received(self.accepted(tag)) for tag in tags]
        self.assertEqual(first, [True, False, True, False])
        self.assertEqual(self.channel.sent, [])

    def test_again(self) -> None:
        """A 2xx that comes again gets the same ACK, by the way that there is then, with the same Via."""
        self.acknowledgements.received(self.accepted())
        self.acknowledge()
        [ack] = self.channel.sent
        later = self.finder.channel = RecordingChannel(
            self.clock, "tls:203.0.113.1:5061", "tls:198.51.100.2:40002"
        )
        self.assertFalse(self.acknowledgements.received(self.accepted()))
        self.assertEqual(later.sent, [ack])
        self.assertEqual(self.invited.sent, [])

    def test_branches(self) -> None:
        """Each branch has an ACK of its own."""
        for tag in ("one", "other"):
            self.acknowledgements.received(self.accepted(tag))
            self.acknowledge(tag, outgoing("ACK", f"sip:{tag}@carrier.example"))
        one, other = self.channel.sent
        self.acknowledgements.received(self.accepted("one"))
        self.assertEqual(self.channel.sent, [one, other, one])

    def test_noWay(self) -> None:
        """Where its next hop cannot be found, the ACK goes where the INVITE went."""
        self.finder.down = True
        self.acknowledgements.received(self.accepted())
        self.acknowledge()
        self.assertEqual(self.channel.sent, [])
        self.assertEqual([sent.method for sent in self.invited.requests], ["ACK"])

    def test_onItsWay(self) -> None:
        """While its way is looked for, another 2xx makes no second ACK."""
        self.finder.waiting = []
        self.acknowledgements.received(self.accepted())
        self.acknowledge()
        self.acknowledgements.received(self.accepted())
        [way] = self.finder.waiting
        way.callback(self.channel)
        self.assertEqual(self.channel.summary(), ["ACK"])
