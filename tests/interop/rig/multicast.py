"""
A call of a PBX whose audio is a multicast group, through a real trunk: run in a network of its own, where
nothing that is sent to a group leaves the machine.  C{tests.interop.test_multicast} makes that network.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.task import deferLater

from skypetrunk.wire.sdp import parseSDP
from tests.media.doubles import rtp
from tests.service.scene import TONE, SceneCase

GROUP, PORT = "239.7.7.7", 14000
OFFERED = f"{GROUP}/3"

INSIDE, HOST = "10.99.0.1", "127.0.0.1"
"""Addresses of the device where the PBX's network is, and of the rest of the machine."""

_IP_RECVTTL, _IP_MULTICAST_ALL = 12, 49  # linux/in.h; Python has no names for them


def member(interface: str, port: int = PORT) -> socket.socket:
    """Somebody who belongs to the group, at one of the interfaces."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((GROUP, port))
    membership = socket.inet_aton(GROUP) + socket.inet_aton(interface)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
    opened.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    opened.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
    opened.setblocking(False)
    return opened


class MulticastTests(SceneCase):
    """One call."""

    async def test_call(self) -> None:
        """In the trunk's own process."""
        await self.call()

    async def test_worker(self) -> None:
        """The same in a media worker."""
        await self.call("workers = 1")

    async def call(self, *media: str) -> None:
        """
        Every member of the group hears the carrier, with the TTL of the SDP; the carrier hears who speaks
        from where that is allowed, and nobody else; at the end the group is left.
        """
        scene = await self.begin(
            lines=[f'media_address = "{INSIDE}"', f'multicast = "{GROUP}"', f'media_allow = ["{INSIDE}"]'],
            media=('address = "127.0.0.1"', *media),
        )
        if media:
            await scene.until(lambda: scene.trunk.plane.workers.ready, "a worker")  # type: ignore[attr-defined]
        scene.phone._callingTone = None
        make = scene.phone._session

        def session(name: str, tone: int | None):  # type: ignore[no-untyped-def]
            made = make(name, tone)
            offer = made.offer

            def grouped(direction: str = "sendrecv", hold: bool = False) -> bytes:
                body = offer(direction, hold).replace(b"c=IN IP4 127.0.0.1", f"c=IN IP4 {OFFERED}".encode())
                return body.replace(f"m=audio {made.media.address.port}".encode(), f"m=audio {PORT}".encode())

            made.offer = grouped  # type: ignore[method-assign]
            # It only signals.
            made.media.setRemote = lambda remote: None  # type: ignore[method-assign]
            return made

        scene.phone._session = session  # type: ignore[method-assign]
        members = [member(INSIDE), member(INSIDE)]
        outside = member(HOST)
        for each in (*members, outside):
            self.addCleanup(each.close)
        near, far = await scene.callOut(TONE)
        self.assertEqual(near.phase.name, "ANSWERED")
        (answer,) = {bytes(message.body) for sent, message in scene.phoneSaw if not sent and message.body}
        (audio,) = parseSDP(answer).media
        self.assertEqual((audio.address, audio.port), (OFFERED, PORT))
        heard: dict[socket.socket, set[int]] = {}

        def listen() -> bool:
            for each in members:
                while True:
                    try:
                        data, ancillary, _, source = each.recvmsg(2000, 100)
                    except BlockingIOError:
                        break
                    if source[0] == INSIDE and len(data) == 172 and data[:2] != rtp(0)[:2]:
                        heard.setdefault(each, set()).update(value[0] for _, _, value in ancillary)
            return len(heard) == len(members)

        await scene.until(listen, "heard by all members")
        self.assertEqual(list(heard.values()), [{3}, {3}])
        self.assertRaises(BlockingIOError, outside.recv, 2000)
        # One of them speaks.
        before = far.session.statistics().received.packets  # type: ignore[union-attr]
        for sequence in range(20):
            members[0].sendto(rtp(sequence, payload=bytes(160)), (GROUP, PORT))
            await deferLater(self.reactor, 0.02)
        await scene.until(
            lambda: far.session.statistics().received.packets >= before + 15,  # type: ignore[union-attr]
            "heard at the carrier",
        )

        def plain() -> dict[str, Any]:
            (leg,) = [leg for leg in scene.status["up"][0]["media"] if not leg["secure"]]
            received: dict[str, Any] = leg["received"]
            return received

        await scene.until(lambda: (plain()["packets"], plain()["refused"]) == (20, {}), "counted")
        # A stranger does, too.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("10.99.0.2", 0))
            other.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(INSIDE))
            other.sendto(rtp(1), (GROUP, PORT))
        await scene.until(lambda: plain()["refused"] == {"source": 1}, "refused")
        near.hangUp()
        await scene.over(near, far)
        for each in members:
            each.close()
        outside.close()
        await scene.until(lambda: GROUP not in memberships(), "left")


def memberships() -> set[str]:
    """The groups that this machine belongs to."""
    found = set()
    with open("/proc/net/igmp") as table:
        for line in table:
            words = line.split()
            if line.startswith("\t"):
                found.add(socket.inet_ntoa(int(words[0], 16).to_bytes(4, "little")))
    return found
