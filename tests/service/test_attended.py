"""Attended transfers that the trunk carries out, judged by what both who remain hear."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from skypetrunk.core.mikey import MIKEY_KEYS
from skypetrunk.lab.abilities import Abilities
from skypetrunk.lab.audio import Tone, examine
from skypetrunk.lab.calls import Call, Ignored, Phase
from skypetrunk.lab.incoming import IncomingCall
from skypetrunk.lab.media import MediaEndpoint
from skypetrunk.lab.outgoing import OutgoingCall
from skypetrunk.lab.session import SRTPPolicy
from skypetrunk.wire.message import Header
from skypetrunk.wire.secret import Secret
from tests.service.scene import TONE, Scene, SceneCase

PHONE, FIRST, SECOND = 400, 650, 1250
"""Hz: of the phone, and of the two whom it calls."""

KEY = "00112233445566778899aabbccddeeff"


def media(call: Call) -> MediaEndpoint:
    """The media of one end."""
    assert call.session is not None
    return call.session.media


class AttendedCase(SceneCase):
    """A phone with two calls joins them: REFER with Replaces."""

    async def talk(self, scene: Scene) -> tuple[OutgoingCall, IncomingCall]:
        """One more call of the phone."""
        before = set(scene.lab.carrier.agent.calls)
        near = scene.phone.dial(TONE, scene.proxy)
        await near.when(Phase.ANSWERED)
        (far,) = set(scene.lab.carrier.agent.calls) - before
        assert isinstance(far, IncomingCall)
        await scene.until(lambda: far.phase is Phase.ANSWERED, "answered at the carrier")
        return near, far

    def came(self, far: Call) -> list[bytes]:
        """What tells SRTP packets apart that come to an end: SSRC and sequence number of each."""
        found: list[bytes] = []
        port = media(far)._rtp
        received = port._received

        def keep(packet: bytes, source: tuple[str, int]) -> None:
            found.append(packet[8:12] + packet[2:4])
            received(packet, source)

        port._received = keep
        return found

    async def transferred(self, workers: int, more: int = 0, **options: Any) -> None:
        """
        Both who remain hear each other, and nobody else; no index is used twice.

        @param more: new keys that the second one gets.
        """
        scene = await self.begin(media=('address = "127.0.0.1"', f"workers = {workers}"), **options)
        plane: Any = scene.trunk.plane
        await scene.until(lambda: not workers or len(plane.workers.ready) == workers, "the workers are ready")
        scene.phone.abilities = Abilities(("NOTIFY",))
        (near, far), (consulting, target) = await self.talk(scene), await self.talk(scene)
        media(target).tone = Tone(SECOND)
        ends = far, target
        came = [self.came(each) for each in ends]
        await scene.hearing(near, far, consulting, target)
        await self.before(scene, near, far)
        ours = [media(each)._keys for each in ends]
        streams = [len({each[:4] for each in packets}) for packets in came]
        names = consulting._dialog
        replaced = f"{names.callID};to-tag={names.remote.tag};from-tag={names.local.tag}"
        refer = (
            Header("Refer-To", f"<{names.target}?Replaces={quote(replaced, safe='')}>"),
            Header("Contact", near._dialog.contact),
        )
        near._transactions.sendRequest(near._dialog.request("REFER", extra=refer), near.channel, Ignored())
        for call in (near, consulting):
            await call.when(Phase.ENDED)
        # One of them may have to be told a new key.
        await scene.until(lambda: len({each[:4] for each in came[1]}) - streams[1] == more, "it has its key")
        await scene.hearing(*ends)
        since = [len(each.session.recording()) for each in ends if each.session is not None]
        await scene.hearing(*ends, more=30)
        for each, tone, other, length in zip(ends, (SECOND, FIRST), (FIRST, SECOND), since, strict=True):
            assert each.session is not None
            heard = examine(each.session.recording()[length:], tone, [PHONE, other])
            self.assertEqual(heard.foreign, 0)
            self.assertGreaterEqual(heard.right, 29)
            self.assertEqual(each.session.statistics().received.refused, ())
        for packets in came:
            self.assertEqual(len(packets), len(set(packets)))
        streams[1] += more
        self.assertEqual([len({each[:4] for each in packets}) for packets in came], streams)
        after = [media(each)._keys for each in ends]
        self.assertEqual(after[0], ours[0])
        self.assertEqual(after[1] == ours[1], more == 0)
        far.hangUp()
        await target.when(Phase.ENDED)
        await scene.idle()
        for ended in scene.status["ended"]:
            for leg in ended["media"]:
                self.assertEqual((leg["received"]["lost"], leg["received"]["refused"]), (0, {}), leg)
            self.assertIsNone(ended["diagnosis"])

    async def before(self, scene: Scene, near: Call, far: Call) -> None:
        """The first call is on hold while the phone consults."""
        await self.changed(scene, partial(near.renegotiate, "sendonly"))

    async def changed(self, scene: Scene, change: Callable[[], None]) -> None:
        """A re-INVITE crosses."""
        before = self.confirmed(scene)
        change()
        await scene.until(
            lambda: all(now > was for now, was in zip(self.confirmed(scene), before, strict=True)),
            "it has crossed",
        )

    def confirmed(self, scene: Scene) -> list[int]:
        """ACKs that the trunk has sent, and got: the last one of a re-INVITE comes from who has asked."""
        return [len(scene.requests("ACK", sent=sent)) for sent in (True, False)]


class AttendedTests(AttendedCase):
    """With keys in SDP."""

    async def test_here(self) -> None:
        """In the trunk's own process."""
        await self.transferred(0)

    async def test_workers(self) -> None:
        """Calls of two workers: one leg moves to the other's, and its peer takes a new key."""
        await self.transferred(2, more=1)


class MIKEYTests(AttendedCase):
    """With a pre-shared key of MIKEY."""

    async def test_wholeCall(self) -> None:
        """Keys and roll-over counter stand that a call is held, resumed, refreshed and transferred."""
        path = Path(self.mktemp())
        path.touch(0o600)
        path.write_text(KEY)
        lines = ('keys = "mikey"', f'mikey_key_file = "{path.absolute()}"')
        await self.transferred(0, keys=lines, srtp=SRTPPolicy(keys=MIKEY_KEYS, mikeyKey=Secret(KEY)))

    async def before(self, scene: Scene, near: Call, far: Call) -> None:
        """All but the transfer.  Who refreshes after the other one brings keys of its own."""
        await self.changed(scene, far.renegotiate)
        await self.changed(scene, partial(near.renegotiate, "sendonly"))
        keys = media(far)._keys
        await self.changed(scene, near.renegotiate)
        media(far)._sequence = 0xFFFF
        await scene.hearing(near, far)
        for direction in ("sendonly", "sendrecv"):
            await self.changed(scene, partial(near.renegotiate, direction))
        await scene.hearing(near, far)
        self.assertEqual(media(far)._keys, keys)
