"""
Each SRTP suite with the phones that have it; what is heard at the phone is the judge.

The trunk's stream goes over the end of its sequence numbers; the PBX holds and resumes, or the phone does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from tests.interop.rig.agent import PBXAgent, accept, answered, invite
from tests.interop.rig.audio import decodeG711, judge, readWAV
from tests.interop.rig.baresip import Baresip
from tests.interop.rig.calls import CARRIER_TONE, PBX_NUMBER, PBX_TONE, CallCase
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.linphone import CarrierAccount, Linphone
from tests.interop.rig.ports import host
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.sip import Message
from tests.interop.rig.srtp_filters import ear
from tests.interop.rig.suites import PBXEnd, description
from tests.interop.rig.switchboard import Exchange, Switchboard
from tests.interop.rig.trunk import PASSWORD, USER

#: More steps than there are to the end of the sequence numbers, and fewer than to the end after that: the
#: stream begins in the lower half.
_STEPS, _STEP = 660, 100

# Calls of the PBX by each suite, and one of the carrier's by the last; baresip offers no other one.  That of
# linphone is one in which the tags of its RTCP are shorter than they should be.
_BOTH = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
_BARESIP = (*_BOTH, "AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80")
_LINPHONE = (*_BOTH, "AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_32")


class PhoneCase(CallCase):
    """
    A trunk that has a carrier's connection for each suite, and no other suite there.  The last one is
    registered: over it the carrier calls.
    """

    def staged(self, suites: Sequence[str], users: Sequence[str]) -> Authority:
        """
        Carrier and trunk.

        @param users: of the carrier; the number C{+44207946010}I{n} leads to the n-th.
        """
        authority = Authority(self.scratch)
        self.certificate = authority.issue("server")
        self.carrier = self.started(
            Kamailio(
                self.scratch,
                self.certificate,
                {USER: PASSWORD, **{user: f"{user}-own" for user in users}},
                {f"+44207946010{n}": user for n, user in enumerate(users)} | {PBX_NUMBER: USER},
            )
        )
        self.agents = [PBXAgent() for _ in suites]
        exchanges = [
            Exchange(
                f"s{n}",
                None,
                None,
                inbound=n == len(suites) - 1,
                trunkLines=[f'media = {{ suites = ["{suite}"] }}'],
            )
            for n, suite in enumerate(suites)
        ]
        board = Switchboard(
            self.scratch,
            exchanges,
            [(agent.address, agent.port) for agent in self.agents],
            [self.wayToCarrier()] * len(suites),
            authority.file,
        )
        for agent, door in zip(self.agents, board.doors, strict=True):
            agent.meet(door)
            agent.start()
            self.addCleanup(agent.stop)
        self.startTrunk(board, self.carrier)
        waitUntil(
            lambda: board.text().count(f"{DOMAIN}: connected to") >= len(suites), 15, "the trunks are up", 0.1
        )
        self.carrier.waitRegistered(USER)
        self.doors = board.doors
        return authority

    def call(self, suite: int, user: int) -> PBXEnd:
        """The PBX calls a user by that suite."""
        own = ear(self.agents[suite].address)
        self.addCleanup(own.close)
        address, port = self.doors[suite]
        uri = f"sip:+44207946010{user}@{address}:{port}"
        begun = invite(self.agents[suite], uri, uri, description(own.getsockname()))
        dialog, answer = answered(self.agents[suite], *begun)
        return PBXEnd(own, dialog, answer.mediaAddress())

    def callIn(self, phone: Baresip | Linphone) -> PBXEnd:
        """A phone of the carrier calls the PBX, by the last suite."""
        agent = self.agents[-1]
        own = ear(agent.address)
        self.addCleanup(own.close)
        phone.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
        request = agent.wait("INVITE ")
        dialog = accept(agent, request, description(own.getsockname()))
        return PBXEnd(own, dialog, request.mediaAddress())

    def wound(self, ends: Sequence[PBXEnd]) -> None:
        """
        The streams go over the end of the sequence numbers, at the pace of their time stamps: linphone would
        follow another one for seconds, with a gap here and there.
        """
        begun = time.monotonic()
        for number in range(_STEPS):
            for end in ends:
                end.say(1 if number < 2 else _STEP)
                end.hear()
            time.sleep(max(0.0, begun + (number + 1) * 0.002 - time.monotonic()))

    def spoken(self, ends: Sequence[PBXEnd], count: int) -> None:
        """The PBX speaks, a packet every 20 ms, and listens."""
        begun = time.monotonic()
        for number in range(count):
            for end in ends:
                end.say()
                end.hear()
            time.sleep(max(0.0, begun + (number + 1) * 0.02 - time.monotonic()))

    def turned(self, ends: Sequence[PBXEnd], version: int, offered: str, agreed: str) -> None:
        """The PBX asks for another direction."""
        for end in ends:
            end.dialog.change(description(end.ear.getsockname(), direction=offered, version=version))
            self.assertIn(f"a={agreed}", end.dialog.changed().body)

    def turnedByPhone(self, end: PBXEnd, phone: Baresip | Linphone, words: Sequence[str]) -> None:
        """
        The phone asks for another direction, and back.

        @param words: its commands.
        """
        for version, (word, offered, agreed) in enumerate(
            zip(words, ("sendonly", "sendrecv"), ("recvonly", "sendrecv"), strict=True), 2
        ):
            phone.command(word)
            request = end.dialog.wait("INVITE ")
            self.assertIn(f"a={offered}", request.body)
            answer = description(end.ear.getsockname(), direction=agreed, version=version)
            end.dialog.agent.answer(request, "200 OK", answer)
            end.dialog.wait("ACK ")
            # It is to have sent its own ACK, and to speak again.
            time.sleep(0.3)

    def wentOver(self, capture: Capture, phone: Baresip | Linphone, suite: str, keys: int = 1) -> None:
        """The phone got a stream for each of so many keys, and the first went over the end of its numbers."""
        packets = [each.payload for each in media(capture.to(phone.mediaPorts))]
        streams = list(dict.fromkeys(packet[8:12] for packet in packets))
        self.assertEqual(len(streams), keys, suite)
        numbers = [int.from_bytes(packet[2:4], "big") for packet in packets if packet[8:12] == streams[0]]
        anew = sum(one - other > 0x8000 for one, other in pairwise(numbers))
        self.assertEqual(anew, 1, f"{suite}: so often the numbers have begun anew")

    def spokenUntil(self, end: PBXEnd, happened: Callable[[], object], seconds: float, what: str) -> float:
        """The PBX speaks until something has happened; how long that was, in seconds."""
        begun = time.monotonic()
        while not happened():
            self.assertLess(time.monotonic() - begun, seconds, f"never: {what}")
            self.spoken([end], 25)
        return time.monotonic() - begun

    def heardAtPBX(self, end: PBXEnd, what: str) -> None:
        """The phone's tone, in what has come since L{PBXEnd.forget}."""
        end.hear()
        verdict = judge(decodeG711(end.heard()), CARRIER_TONE)
        self.assertGreaterEqual(verdict.share, 0.95, f"{what}: {verdict}")
        self.assertGreater(verdict.seconds, 0.8, f"{what}: {verdict}")


class BaresipTests(PhoneCase):
    """baresip with its four suites; a phone for each call."""

    phones: Sequence[Baresip] = ()

    def secrets(self) -> list[bytes]:
        """All keys, from the phones' traces."""
        messages: list[Message] = [message for phone in self.phones for message in phone.messages()]
        return [line.key for message in messages for line in message.crypto()]

    def test_suites(self) -> None:
        """Over the end of the sequence numbers; each hears the other; hold, resume; and again."""
        users = [f"bob{n}" for n in range(len(_BARESIP))]
        self.staged(_BARESIP, users)
        where = f"{self.carrier.address}:{self.carrier.phonePort}"
        self.phones = [
            self.started(
                Baresip.atCarrier(
                    self.scratch,
                    user,
                    f"{user}-own",
                    CARRIER_TONE,
                    where,
                    certificate=self.certificate,
                    address=host(22 + n),
                )
            )
            for n, user in enumerate(users)
        ]
        for user in users:
            self.carrier.waitRegistered(user)
        with Capture() as capture:
            ends = [self.call(n, n) for n in range(len(users) - 1)]
            ends.append(self.callIn(self.phones[-1]))
            self.wound(ends)
            for end in ends:
                end.forget()
            self.spoken(ends, 60)
            for end, suite in zip(ends, _BARESIP, strict=True):
                self.heardAtPBX(end, suite)
            self.turned(ends[:-1], 2, "sendonly", "recvonly")
            self.turned(ends[:-1], 3, "sendrecv", "sendrecv")
            self.turnedByPhone(ends[-1], self.phones[-1], ("hold", "resume"))
            for end in ends:
                end.forget()
            self.spoken(ends, 60)
            for end, suite in zip(ends, _BARESIP, strict=True):
                self.heardAtPBX(end, suite)
                end.dialog.request("BYE")
                end.dialog.wait("SIP/2.0 200")
        for phone, suite in zip(self.phones, _BARESIP, strict=True):
            phone.waitEvent("CALL_CLOSED")
            self.wentOver(capture, phone, suite)
            told = [message for message in phone.messages() if not message.sent]
            self.assertEqual(len({line.key for message in told for line in message.crypto()}), 1, suite)
            self.assertEqual(phone.text().count("failed to decrypt RTP packet"), 0, suite)
            verdict = judge(readWAV(phone.recordings()[-1])[-8000:], PBX_TONE)
            self.assertGreaterEqual(verdict.share, 0.9, f"{suite}: {verdict}")


class LinphoneTests(PhoneCase):
    """linphone with its four suites, one call after the other."""

    def secrets(self) -> list[bytes]:
        """All keys, from its trace."""
        return [line.key for message in self.linphone.messages() for line in message.crypto()]

    def forgotten(self, end: PBXEnd, capture: Capture) -> None:
        """
        It pauses when the numbers have begun anew, and hears nothing when it resumes; its reports say so, and
        with a new key it hears us again.
        """
        ports = self.linphone.mediaPorts

        def reports() -> int:
            """That have a block: the beginning of SRTCP is in clear."""
            return sum(each.payload[0] & 31 > 0 for each in media(capture.sentFrom(ports), rtcp=True))

        self.spokenUntil(end, reports, 15, "it reports on our stream")
        self.wound([end])
        self.spokenUntil(end, lambda: reports() > 1, 15, "it reports on it again")
        self.turnedByPhone(end, self.linphone, ("pause", "resume"))
        self.linphone.waitTalking(2 * len(_LINPHONE))
        self.spokenUntil(
            end,
            lambda: len({each.payload[8:12] for each in media(capture.to(ports))}) == 2,
            30,
            "it is given a new key",
        )
        self.linphone.waitTalking(2 * len(_LINPHONE) + 1)

    def test_suites(self) -> None:
        """
        As with baresip, but hold comes first: linphone takes the keys up anew after it, and counts rounds of
        the sequence numbers from none, against RFC 3711 section 3.3.1.  In the last call hold comes after.
        """
        authority = self.staged(_LINPHONE, ["dave"])
        where = f"{self.carrier.address}:{self.carrier.phonePort}"
        account = CarrierAccount("dave-own", where, authority.file)
        self.linphone = self.started(Linphone(self.scratch, "dave", CARRIER_TONE, account))
        self.carrier.waitRegistered("dave")
        for number, suite in enumerate(_LINPHONE):
            with Capture() as capture:
                last = number == len(_LINPHONE) - 1
                end = self.callIn(self.linphone) if last else self.call(number, 0)
                self.linphone.waitTalking(2 * number + 1)
                end.forget()
                self.spoken([end], 60)
                self.heardAtPBX(end, suite)
                if last:
                    self.forgotten(end, capture)
                else:
                    self.turned([end], 2, "sendonly", "recvonly")
                    self.turned([end], 3, "sendrecv", "sendrecv")
                    self.linphone.waitTalking(2 * number + 2)
                    self.wound([end])
                end.forget()
                self.spoken([end], 60)
                # At once: as long as the call lasts it records silence.
                end.dialog.request("BYE")
                self.heardAtPBX(end, suite)
                end.dialog.wait("SIP/2.0 200")
                self.linphone.waitEndOfCall(number + 1)
            self.wentOver(capture, self.linphone, suite, 1 + last)
            verdict = judge(readWAV(self.linphone.recording)[-8000:], PBX_TONE)
            self.assertGreaterEqual(verdict.share, 0.9, f"{suite}: {verdict}")
