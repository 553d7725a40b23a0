"""OPTIONS within a dialog (RFC 3261 section 11): each leg answers for itself, and nothing crosses."""

from __future__ import annotations

from skypetrunk.core.capabilities import ACCEPT, ALLOW, SUPPORTED
from skypetrunk.wire.message import Response
from tests.core.races import Race


class OptionsTests(Race):
    """A call of the PBX, asked by both sides."""

    def assertAbilities(self, response: Response) -> None:
        """It says what we can do, and has no description: the session is not asked for."""
        for header in (ALLOW, SUPPORTED, ACCEPT):
            self.assertEqual(response.header(header.name), header.value)
        self.assertEqual(response.body, b"")

    def test_within(self) -> None:
        """In a call that stands: 200, the other side hears nothing, and the CSeq numbers count on."""
        near, accepted, far = self.established()
        self.caller.got(), self.callee.got()
        self.caller.within(near, accepted, "OPTIONS", 2)
        self.assertAbilities(self.caller.response(200))
        self.callee.back(far, "OPTIONS", 1)
        self.assertAbilities(self.callee.response(200))
        self.assertEqual((self.caller.got(), self.callee.got()), ([200], [200]))
        self.caller.within(near, accepted, "BYE", 2)
        self.assertEqual(self.caller.got(), [500], "its number is not new (section 12.2.2)")
        self.caller.within(near, accepted, "BYE", 3)
        self.callee.answers(self.callee.request("BYE"), 200)
        self.assertEqual(self.net.manager.callCount(), 0)

    def test_early(self) -> None:
        """While it rings, from either side: 200, and it rings on."""
        near, far = self.call()
        self.callee.answers(far, 180)
        ringing = self.caller.response(180)
        self.caller.got(), self.callee.got()
        self.caller.within(near, ringing, "OPTIONS", 2)
        self.assertAbilities(self.caller.response(200))
        self.callee.back(far, "OPTIONS", 1)
        self.assertAbilities(self.callee.response(200))
        self.answer(far)
        self.assertEqual(self.caller.got()[-1], 200)

    def test_over(self) -> None:
        """After its end: 481 (section 12.2.2)."""
        near, accepted, far = self.established()
        self.caller.within(near, accepted, "BYE", 2)
        self.callee.answers(self.callee.request("BYE"), 200)
        self.caller.got(), self.callee.got()
        self.caller.within(near, accepted, "OPTIONS", 3)
        self.callee.back(far, "OPTIONS", 1)
        self.assertEqual((self.caller.got(), self.callee.got()), ([481], [481]))


class InboundOptionsTests(OptionsTests):
    """A call of the carrier."""

    outbound = False
