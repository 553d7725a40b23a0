"""
Mutated and random datagrams at all four ports of a call: nothing raises, and the sound goes on.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.rtp import parseRTP
from tests.media.doubles import CARRIER, PBX, STRANGER, Call, rtp

sources = st.sampled_from((PBX, (PBX[0], 4999), CARRIER, STRANGER))
edits = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=4)
pieces = st.tuples(
    st.sampled_from(("rtp", "rtcp", "srtp", "srtcp", "random")),
    st.integers(0, 3),
    sources,
    edits,
    st.integers(0, 80),
    st.binary(max_size=60),
)
REPORT = bytes.fromhex("80c80006 11111111") + bytes(20) + bytes.fromhex("81ca0002 11111111 01016100")


class GarbageTests(SynchronousTestCase):
    """Errors that are logged fail a test by themselves."""

    def test_anything(self) -> None:
        """During a call, from its peers' own addresses and from a stranger's."""

        @settings(deadline=None, max_examples=200)
        @given(st.lists(pieces, max_size=30))
        def check(given: list[tuple[str, int, tuple[str, int], list[tuple[int, int]], int, bytes]]) -> None:
            call = Call()
            ports = sorted(call.network.ports)
            call.fromPBX(rtp(1))
            call.receiveAll()
            for sequence, (kind, port, source, changes, length, octets) in enumerate(given):
                whole = {
                    "rtp": rtp(sequence),
                    "rtcp": REPORT,
                    "srtp": call.peer.protect(rtp(sequence, ssrc=5)),
                    "srtcp": call.peer.protectRTCP(REPORT),
                    "random": octets,
                }[kind]
                packet = bytearray(whole[: length or None])
                for place, value in changes:
                    if place < len(packet):
                        packet[place] = value
                if kind in ("srtp", "srtcp") and packet == whole:
                    packet[-1] ^= 1  # an authentic packet may move the stream, from wherever it comes
                call.network.deliver(ports[port], bytes(packet), source)
            for datagram in call.network.take():
                if datagram.port == call.secure.address.port:
                    self.assertEqual(datagram.destination, CARRIER)
                    call.peer.receive(datagram.data)
                else:
                    self.assertNotEqual(datagram.destination[0], STRANGER[0])
            self.assertEqual(call.peer.refused, [])
            # The sound goes on, in the same stream; another port of the PBX's host has to be silent first.
            call.clock.advance(1)
            newest = max(header.sequence for header in call.peer.headers)
            for sequence in (50_000, 50_001):
                call.fromPBX(rtp(sequence, ssrc=99, payload=b"sound to carrier"))
            call.fromCarrier(call.peer.protect(rtp(50_000, ssrc=99, payload=b"sound to pbx")))
            sent = call.receiveAll()
            self.assertEqual([each[12:] for each in call.peer.plain[-2:]], 2 * [b"sound to carrier"])
            self.assertEqual([each.sequence for each in call.peer.headers[-2:]], [newest + 1, newest + 2])
            self.assertEqual([datagram.data[12:] for datagram in sent], [b"sound to pbx"])
            self.assertEqual(parseRTP(sent[0].data).ssrc, 99)

        check()
