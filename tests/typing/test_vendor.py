"""The vendor's plug-ins provide what they say, and the public doubles are enough to run them."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    IPBX,
    CallEnded,
    CallRecord,
    CallRequest,
    DirectionStatistics,
    ICallPolicy,
    ICallRecordSink,
    ICarrierProfile,
    ICredentials,
    IDialogObserver,
    IMediaTap,
    IMediaTaps,
    INumberPlan,
    IPBXCallUser,
    IVendorPlugin,
    LegStatistics,
    TappedPacket,
)
from skypetrunk.testing import RecordingPBXCall
from tests.typing.vendor import (
    Announcement,
    Announcements,
    CampusNumbers,
    Journal,
    Ledger,
    LedgerPlugin,
    Meter,
    Meters,
    OfficeHours,
    RegionalCarrier,
    Vault,
)

_REQUEST = CallRequest("c1", "201", "02079460018", "office", ("carrier",))


class VendorTests(SynchronousTestCase):
    """L{tests.typing.vendor}."""

    def test_provided(self) -> None:
        """Each provides its interface, with the right names and arguments."""
        for interface, vendor in (
            (INumberPlan, CampusNumbers()),
            (ICallPolicy, OfficeHours(Clock(), 0)),
            (ICredentials, Vault()),
            (IDialogObserver, Journal()),
            (ICarrierProfile, RegionalCarrier()),
            (ICallRecordSink, Ledger()),
            (IPBX, Announcements()),
            (IMediaTap, Meter()),
            (IMediaTaps, Meters()),
            (IPBXCallUser, Announcement(RecordingPBXCall())),
            (IVendorPlugin, LedgerPlugin()),
        ):
            self.assertTrue(verifyObject(interface, vendor))

    def test_policy(self) -> None:
        """Admitted now, admitted later, refused."""
        clock = Clock()
        policy = OfficeHours(clock, 60)
        later = policy.admit(_REQUEST)
        assert later is not None
        self.assertNoResult(later)
        policy.asked[0].callback(None)
        self.successResultOf(later)
        clock.advance(60)
        self.assertIsNone(policy.admit(_REQUEST))
        with self.assertRaises(CallRefused) as caught:
            policy.admit(CallRequest("c2", "anonymous", "1", "office", ()))
        self.assertEqual((caught.exception.status, caught.exception.cause), (433, 21))

    def test_announcements(self) -> None:
        """Told twice, unless a star was pressed; nobody without a number."""
        pbx = Announcements()
        for key, played in (("1", 100), ("*", 50)):
            call = RecordingPBXCall()
            user = pbx.callReceived(call)
            assert isinstance(user, Announcement)
            telling = Deferred.fromCoroutine(user.answered())
            call.media.finish()
            self.successResultOf(user.digitReceived(key))
            if call.media.playing:
                call.media.finish()
            self.successResultOf(telling)
            self.assertEqual(call.events, [("answer",), ("hangUp",)])
            self.assertEqual((len(call.media.played), user.keys), (played, key))
        self.assertRaises(CallRefused, pbx.callReceived, RecordingPBXCall("anonymous"))

    def test_meters(self) -> None:
        """Only the office; each side by itself."""
        meters = Meters()
        self.assertIsNone(meters.tap(CallRequest("c2", "1", "2", "carrier", ("office",))))
        tap = meters.tap(_REQUEST)
        assert tap is not None
        for packet in (TappedPacket(bytes(172), True, 1.0), TappedPacket(bytes(12), False, 1.0)):
            tap.packetReceived(packet)
        tap.ended()
        meter = meters.meters["c1"]
        self.assertEqual((meter.octets, meter.over), ([172, 12], True))

    def test_secretsAreHidden(self) -> None:
        """What the vault gives out does not show itself."""
        self.assertNotIn("sesame", repr(Vault().find("carrier.example")))
        self.assertIsNone(Vault().find("other.example"))

    def test_ledger(self) -> None:
        """Made by its plugin; answered calls cost."""
        ledger = LedgerPlugin().create(Clock(), {}, Path())
        assert isinstance(ledger, Ledger)
        for answered, duration in ((None, 0.0), (1.0, 59.0), (1.0, 61.0)):
            ended = CallEnded("c1", "normal", None, "caller", duration)
            self.successResultOf(ledger.record(CallRecord(_REQUEST, ended, 0.0, answered, ())))
        self.assertEqual(ledger.minutes, 3)

    def test_journal(self) -> None:
        """One call from start to end."""
        journal = Journal()
        journal.callStarted(_REQUEST)
        journal.callAnswered("c1")
        leg = LegStatistics(
            "carrier",
            True,
            "AES_CM_128_HMAC_SHA1_80",
            DirectionStatistics(5, authenticated=5),
            DirectionStatistics(),
        )
        journal.callEnded(CallEnded("c1", "normal", None, "caller", 3.0), [leg])
        self.assertEqual(
            journal.lines, ["c1: 201 calls 02079460018", "c1: answered", "c1: normal, 3 s, SRTP"]
        )
        self.assertEqual(CampusNumbers().normalise("0018"), "+442079460018")
