"""The whole trunk and a carrier that agree SRTP keys by MIKEY: calls with sound."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.logger import LogLevel

from skypetrunk.core.mikey import MIKEY_KEYS
from skypetrunk.lab.audio import examine
from skypetrunk.lab.calls import Call, Phase
from skypetrunk.lab.session import SRTPPolicy
from skypetrunk.service.trace import redacted
from skypetrunk.wire.message import Response
from skypetrunk.wire.mikey import INITIATE, VERIFY, Message, messageIn, parseMIKEY
from skypetrunk.wire.sdp import parseSDP
from skypetrunk.wire.secret import Secret
from tests.service.scene import TONE, Scene, SceneCase

KEY = "00112233445566778899aabbccddeeff"
OTHER = "ff112233445566778899aabbccddeeff"


class ClearTests(SceneCase):
    """
    Without a pre-shared key.

    @cvar key: the pre-shared one; C{None}: there is none.
    """

    key: str | None = None

    def policy(self) -> SRTPPolicy:
        """The carrier's."""
        return SRTPPolicy(keys=MIKEY_KEYS, mikeyKey=None if self.key is None else Secret(self.key))

    async def beginWith(self, policy: SRTPPolicy | None = None, key: str | None = None) -> Scene:
        """A scene whose trunk agrees keys by MIKEY, and is registered."""
        lines = ['keys = "mikey"']
        key = key or self.key
        if key is not None:
            descriptor, name = tempfile.mkstemp()
            self.addCleanup(os.unlink, name)
            os.close(descriptor)
            Path(name).write_text(f"{key}\n")
            lines.append(f'mikey_key_file = "{name}"')
        return await self.begin(keys=lines, debug=True, srtp=policy or self.policy())

    def messages(self, scene: Scene, kind: int = VERIFY) -> list[Message]:
        """MIKEY messages of one kind between trunk and carrier, in order; a challenged offer goes twice."""
        found = []
        seen = set()
        for sent, message, channel in scene.seen:
            # One that is sent again, for want of an ACK, is the same one.
            this = sent, isinstance(message, Response), str(message.cseq)
            if channel.secure and message.body and this not in seen:
                seen.add(this)
                values = parseSDP(message.body).media[0].all("key-mgmt")
                octets = messageIn(values)
                assert octets is not None and len(values) == 1
                found.append(parseMIKEY(octets))
        return [each for each in found if each.type == kind]

    async def changed(self, scene: Scene, near: Call, direction: str = "sendrecv") -> None:
        """The phone asks for a direction, and has its answer."""

        def answers() -> int:
            found = (m for sent, m in scene.phoneSaw if not sent and isinstance(m, Response))
            return len({str(m.cseq) for m in found if m.status >= 200 and m.cseq.method == "INVITE"})

        before = answers()
        near.renegotiate(direction)
        await scene.until(lambda: answers() > before, f"{direction} is answered")

    def heard(self, call: Call, own: int, foreign: int) -> None:
        """What this end has recorded is the other's tone."""
        assert call.session is not None
        report = examine(call.session.recording(), own, [foreign])
        self.assertGreaterEqual(report.right, 45)
        self.assertEqual(report.foreign, 0)

    async def ended(self, scene: Scene, near: Call, far: Call) -> None:
        """The call ends; each packet was authenticated, on either side."""
        near.hangUp()
        await scene.over(near, far)
        secure = next(leg for leg in scene.status["ended"][-1]["media"] if leg["secure"])
        self.assertEqual(secure["suite"], "AES_CM_128_HMAC_SHA1_80")
        self.assertEqual(secure["received"]["authenticated"], secure["received"]["packets"])
        self.assertEqual(secure["received"]["refused"], {})
        assert far.session is not None
        self.assertEqual(far.session.statistics().received.refused, ())

    async def test_out(self) -> None:
        """A call out, its hold and resume: one message and its response, again and again; the keys stay."""
        scene = await self.beginWith()
        near, far = await scene.callOut()
        await scene.hearing(near, far, more=50)
        await self.changed(scene, near, "sendonly")
        await self.changed(scene, near)
        self.assertEqual(len(self.messages(scene)), 3)
        await scene.hearing(near, far)
        offers, responses = self.messages(scene, INITIATE), self.messages(scene)
        self.assertEqual((len(set(offers)), len(set(responses))), (1, 1))
        self.heard(near, 650, 400)
        await self.ended(scene, near, far)

    async def test_in(self) -> None:
        """A call of the carrier; what the trunk offers in it then is a message of its own."""
        scene = await self.beginWith()
        near, far = await scene.callIn()
        await scene.hearing(near, far, more=30)
        await self.changed(scene, near, "sendonly")
        await self.changed(scene, near)
        self.assertEqual(len(self.messages(scene)), 3)
        await scene.hearing(near, far, more=30)
        self.assertEqual(len({each.bundle for each in self.messages(scene)}), 2)
        self.heard(near, 950, 1400)
        await self.ended(scene, near, far)

    async def test_renewed(self) -> None:
        """Keys that are spent: another message, both keys are new, and the sound goes on."""
        scene = await self.beginWith()
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        (leg,) = [leg for call in scene.trunk.manager._bridges for leg in call.legs if leg.session.secure]
        before = leg.session.uses.ours, leg.session.uses.theirs
        self.assertTrue(leg.refresh.rekey())
        await scene.until(lambda: len(self.messages(scene)) == 2, "a new message")
        await scene.hearing(near, far, more=30)
        after = leg.session.uses.ours, leg.session.uses.theirs
        self.assertFalse(any(one is other for one, other in zip(before, after, strict=True)))
        await self.ended(scene, near, far)

    async def test_nothingShown(self) -> None:
        """The log, with all messages, shows neither message nor key."""
        scene = await self.beginWith()
        near, far = await scene.callOut()
        await self.ended(scene, near, far)
        text = "\n".join(self.logged(LogLevel.debug))
        self.assertIn("a=key-mgmt:mikey <hidden>", text)
        self.assertNotIn(KEY, text.lower())
        for _, message, _ in scene.seen:
            self.assertNotIn("mikey AQ", redacted(message))

    async def test_otherProtocol(self) -> None:
        """A carrier that knows SDES only: the call is refused, and the log says why."""
        scene = await self.beginWith(SRTPPolicy())
        near = scene.phone.dial(TONE, scene.proxy)
        await near.when(Phase.ENDED)
        self.assertEqual(near.status, 488)


class PreSharedKeyTests(ClearTests):
    """With a pre-shared key."""

    key = KEY

    async def test_otherKey(self) -> None:
        """The carrier has another one: no call comes about, in either direction, and the log says why."""
        scene = await self.beginWith(key=OTHER)
        near = scene.phone.dial(TONE, scene.proxy)
        await near.when(Phase.ENDED)
        self.assertEqual(near.status, 488)
        far = scene.lab.carrier.dial("+442079460100", "+493012345678")
        await far.when(Phase.ENDED)
        self.assertEqual(far.status, 488)
        self.assertLogged("another pre-shared key", level=LogLevel.warn)
