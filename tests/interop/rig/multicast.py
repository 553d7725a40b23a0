"""
A call of a PBX whose audio is a multicast group, through a real trunk: run in a network of its own, where
nothing that is sent to a group leaves the machine.  C{tests.interop.test_multicast} makes that network.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from skypetrunk.media.multicast import HOPS
from skypetrunk.wire.sdp import parseSDP
from tests.media.doubles import rtp
from tests.service.scene import TONE, SceneCase

PORT = 14000

_IP_RECVTTL, _IP_MULTICAST_ALL = 12, 49  # linux/in.h; Python has no names for them


@dataclass(frozen=True)
class Network:
    """
    The PBX's, at a device of its own.

    @ivar group: as it is configured, C{offered} as SDP has it.
    @ivar inside: the trunk's address there, C{other} another one.
    @ivar hops: that packets of ours are to have.
    """

    group: str
    offered: str
    inside: str
    other: str
    hops: int

    @property
    def six(self) -> bool:
        """Is it IPv6?"""
        return ":" in self.group

    @property
    def _family(self) -> int:
        return socket.AF_INET6 if self.six else socket.AF_INET

    def speaker(self, address: str) -> socket.socket:
        """Somebody who sends to the group from an address of that device."""
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        opened.bind((address, 0))
        if self.six:
            index = socket.if_nametoindex("inside")
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        return opened

    def member(self, device: str = "inside") -> socket.socket:
        """Somebody who belongs to the group, at one of the devices."""
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((self.group, PORT))
        if self.six:
            group, index = socket.inet_pton(socket.AF_INET6, self.group), socket.if_nametoindex(device)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", index))
            # Linux looks at the group only, and not at where it was joined.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            address = self.inside if device == "inside" else "127.0.0.1"
            membership = socket.inet_aton(self.group) + socket.inet_aton(address)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            opened.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            opened.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        opened.setblocking(False)
        return opened

    def joined(self) -> bool:
        """Does anybody on this machine belong to the group?"""
        octets = socket.inet_pton(self._family, self.group)
        wanted = octets.hex() if self.six else octets[::-1].hex().upper()
        return wanted in Path("/proc/net/igmp6" if self.six else "/proc/net/igmp").read_text()


IPV4 = Network("239.7.7.7", "IN IP4 239.7.7.7/3", "10.99.0.1", "10.99.0.2", 3)
IPV6 = Network("ff15::707", "IN IP6 ff15::707", "2001:db8:99::1", "2001:db8:99::2", HOPS)


class MulticastTests(SceneCase):
    """One call."""

    async def test_call(self) -> None:
        """In the trunk's own process."""
        await self.call()

    async def test_worker(self) -> None:
        """The same in a media worker."""
        await self.call("workers = 1")

    async def test_IPv6(self) -> None:
        """The same with IPv6, while the carrier has IPv4."""
        await self.call(network=IPV6)

    async def call(self, *media: str, network: Network = IPV4) -> None:
        """
        Every member of the group hears the carrier, with the TTL of the SDP; the carrier hears who speaks
        from where that is allowed, and nobody else; at the end the group is left.
        """
        scene = await self.begin(
            lines=[
                f'media_address = "{network.inside}"',
                f'multicast = "{network.group}"',
                f'media_allow = ["{network.inside}"]',
            ],
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
                body = offer(direction, hold).replace(b"c=IN IP4 127.0.0.1", f"c={network.offered}".encode())
                return body.replace(f"m=audio {made.media.address.port}".encode(), f"m=audio {PORT}".encode())

            made.offer = grouped  # type: ignore[method-assign]
            # It only signals.
            made.media.setRemote = lambda remote: None  # type: ignore[method-assign]
            return made

        scene.phone._session = session  # type: ignore[method-assign]
        members = [network.member(), network.member()]
        outside = network.member("lo")
        for each in (*members, outside):
            self.addCleanup(each.close)
        near, far = await scene.callOut(TONE)
        self.assertEqual(near.phase.name, "ANSWERED")
        (answer,) = {bytes(message.body) for sent, message in scene.phoneSaw if not sent and message.body}
        (audio,) = parseSDP(answer).media
        self.assertEqual((audio.address, audio.port), (network.offered.split()[2], PORT))
        heard: dict[socket.socket, set[int]] = {}

        def listen() -> bool:
            for each in members:
                while True:
                    try:
                        data, ancillary, _, source = each.recvmsg(2000, 100)
                    except BlockingIOError:
                        break
                    if source[0] == network.inside and len(data) == 172 and data[:2] != rtp(0)[:2]:
                        heard.setdefault(each, set()).update(value[0] for _, _, value in ancillary)
            return len(heard) == len(members)

        await scene.until(listen, "heard by all members")
        self.assertEqual(list(heard.values()), [{network.hops}] * 2)
        self.assertRaises(BlockingIOError, outside.recv, 2000)
        # One who is allowed speaks.
        speaker = network.speaker(network.inside)
        self.addCleanup(speaker.close)
        before = far.session.statistics().received.packets  # type: ignore[union-attr]
        for sequence in range(20):
            speaker.sendto(rtp(sequence, payload=bytes(160)), (network.group, PORT))
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
        with network.speaker(network.other) as other:
            other.sendto(rtp(1), (network.group, PORT))
        await scene.until(lambda: plain()["refused"] == {"source": 1}, "refused")
        near.hangUp()
        await scene.over(near, far)
        for each in members:
            each.close()
        outside.close()
        await scene.until(lambda: not network.joined(), "left")
