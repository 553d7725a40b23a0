"""Forks of the callee's side: several To tags are one dialog, one tag and one description for the caller."""

from __future__ import annotations

from typing import Any

from skypetrunk.core.early_dialogs import BRANCHES
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdes import usableCrypto
from skypetrunk.wire.sdp import parseSDP
from tests.core.races import Race

ULAW = "0"
ALAW = "8"


class Forks(Race):
    """RFC 3261 sections 12.1.2, 13.2.1 and 13.2.2.4."""

    def branch(self, tag: str, port: int, formats: str = "8 101") -> bytes:
        """What one branch of the callee answers: each has its own port, and may have its own codec."""
        body = self.description(self.callee).decode()
        line = next(line for line in body.split("\r\n") if line.startswith("m="))
        protocol = line.split()[2]
        return body.replace(line, f"m=audio {port} {protocol} {formats}").encode()

    def early(self, far: Request, tag: str, port: int, formats: str = "8 101") -> None:
        """Early media of one branch."""
        self.callee.answers(far, 183, self.branch(tag, port, formats), tag=tag)

    def forked(self) -> tuple[Request, Request, Response]:
        """
        A call whose first branch answers after two had early media.

        @return: both INVITEs, and the 200 that the caller has acknowledged.
        """
        near, far = self.call()
        self.early(far, "one", 7000)
        self.early(far, "two", 7100)
        self.callee.answers(far, 200, self.branch("one", 7000), tag="one")
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        return near, far, accepted

    def port(self) -> int:
        """Where media towards the callee goes."""
        return self.net.plane.legs[1].last("remote").port  # type: ignore[attr-defined,no-any-return]

    def test_oneDialog(self) -> None:
        """Two branches ring, a third has early media: the caller sees one To tag and one description."""
        _, far = self.call()
        self.callee.answers(far, 180, tag="one")
        self.callee.answers(far, 180, tag="two")
        self.early(far, "three", 7000)
        self.early(far, "four", 7100)
        sent = [m for m in self.caller.channel.messages if not isinstance(m, Request) and m.status > 100]
        self.assertEqual([m.status for m in sent], [180, 180, 183, 183])
        self.assertEqual(len({m.toAddress.tag for m in sent}), 1)
        self.assertEqual(len({m.body for m in sent if m.body}), 1)
        self.assertEqual(self.port(), 7100)

    def test_tooManyBranches(self) -> None:
        """What branches say is kept of no more than may be early dialogs, and the call goes on."""
        near, far = self.call()
        for number in range(2 * BRANCHES):
            self.early(far, f"tag{number}", 7000 + 2 * number)
        [call] = self.net.manager._bridges
        assert call._exchange is not None
        self.assertEqual(len(call._exchange._branches), BRANCHES)
        self.callee.answers(far, 200, self.branch("last", 9000), tag="last")
        self.assertEqual(self.port(), 9000)
        self.caller.ack(near, self.caller.response(200))

    def test_mediaFollowsTheAnswer(self) -> None:
        """The branch that answers has the media, whichever spoke last; the 200 repeats the 183."""
        near, far = self.call()
        self.early(far, "one", 7000)
        early = self.caller.response(183)
        self.early(far, "two", 7100)
        self.assertEqual(self.port(), 7100)
        self.callee.answers(far, 200, self.branch("one", 7000), tag="one")
        accepted = self.caller.response(200)
        self.assertEqual(self.port(), 7000)
        self.assertEqual((accepted.body, accepted.toAddress.tag), (early.body, early.toAddress.tag))
        self.caller.ack(near, accepted)
        self.assertEqual(self.callee.request("ACK").toAddress.tag, "one")
        self.assertEqual(self.caller.got()[-1], 200, "nothing changed: no re-INVITE")

    def test_answerWithoutDescription(self) -> None:
        """The 200 of a branch without SDP: what that branch said in its 183 counts, not the other's."""
        near, far = self.call()
        self.early(far, "one", 7000)
        self.early(far, "two", 7100)
        self.callee.answers(far, 200, tag="one")
        self.assertEqual(self.port(), 7000)
        self.caller.ack(near, self.caller.response(200))

    def test_secondAnswer(self) -> None:
        """A second branch answers too: ACK and BYE to it alone, media stays (section 13.2.2.4)."""
        near, far = self.call()
        self.callee.answers(far, 200, self.branch("one", 7000), tag="one")
        self.caller.ack(near, self.caller.response(200))
        self.callee.got()
        self.callee.answers(far, 200, self.branch("two", 7100), tag="two")
        # A branch that had our SRTP key: the other gets a new one.
        renewal = [] if self.callee is self.net.pbx else ["INVITE"]
        self.assertEqual(self.callee.got(), ["ACK", "BYE", *renewal])
        self.assertEqual(self.port(), 7000)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_secondAnswerAfterTheEnd(self) -> None:
        """The call has ended meanwhile: ACK and BYE, and nothing new for the branch that is gone."""
        near, far = self.call()
        self.callee.answers(far, 200, self.branch("one", 7000), tag="one")
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.within(near, accepted, "BYE", 2)
        self.callee.got()
        self.callee.answers(far, 200, self.branch("two", 7100), tag="two")
        self.assertEqual(self.callee.got(), ["ACK", "BYE"])

    def test_freshKeyWaits(self) -> None:
        """The caller's re-INVITE is under way on that leg: the new key is offered right after its answer."""
        near, far = self.call()
        self.callee.answers(far, 200, self.branch("one", 7000), tag="one")
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2, "a=sendonly\r\n"))
        again = self.callee.request("INVITE")
        self.callee.answers(far, 200, self.branch("two", 7100), tag="two")
        self.callee.got()
        self.callee.answers(again, 200, self.branch("one", 7000), tag="one")
        renewal = [] if self.callee is self.net.pbx else ["INVITE"]
        self.assertEqual(self.callee.got(), ["ACK", *renewal])

    def test_secondAnswerAfterPRACK(self) -> None:
        """The BYE of a branch that had a PRACK goes on counting (section 12.2.1.1)."""
        near, far = self.call()
        headers = [("Require", "100rel"), ("RSeq", "1")]
        self.callee.answers(far, 183, self.branch("two", 7100), "two", headers)
        prack = self.callee.request("PRACK")
        self.callee.answers(prack, 200)
        self.callee.answers(far, 200, self.branch("one", 7000), tag="one")
        self.caller.ack(near, self.caller.response(200))
        self.callee.answers(far, 200, self.branch("two", 7100), tag="two")
        bye = self.callee.request("BYE")
        self.assertEqual((bye.toAddress.tag, bye.cseq.number), ("two", prack.cseq.number + 1))

    def answeredOtherwise(self) -> None:
        """The branch with early media speaks A-law, the one that answers mu-law; the caller's ACK came."""
        near, far = self.call(self.description(self.caller).replace(b" 8 101", b" 8 0 101"))
        self.early(far, "one", 7000)
        early = self.caller.response(183)
        self.callee.answers(far, 200, self.branch("two", 7100, "0 101"), tag="two")
        accepted = self.caller.response(200)
        self.assertEqual(accepted.body, early.body, "an answer once given stays (section 13.2.1)")
        self.caller.got()
        self.assertEqual(self.port(), 7100)
        self.caller.ack(near, accepted)

    def test_otherCodec(self) -> None:
        """The caller gets a re-INVITE with the codec of the branch that answered, right after its ACK."""
        self.answeredOtherwise()
        renewal = self.caller.request("INVITE")
        self.assertEqual(parseSDP(renewal.body).media[0].formats, ("0", "101"))
        body = self.description(self.caller, 2).replace(b" 8 0 101", b" 0 101").replace(b" 8 101", b" 0 101")
        self.callee.got()
        self.caller.answers(renewal, 200, body)
        self.assertEqual(self.caller.got()[-1], "ACK")
        self.assertEqual(self.callee.got(), [], "it does not cross")
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_oneOfTheOtherCodecs(self) -> None:
        """The branch that answers may send either codec, and the caller takes one: the branch is told."""
        near, far = self.call(self.description(self.caller).replace(b" 8 101", b" 8 0 101"))
        self.early(far, "one", 7000)
        self.callee.answers(far, 200, self.branch("two", 7100, "0 8 101"), tag="two")
        if self.callee is self.net.carrier:
            # Its new key.
            body = self.branch("two", 7100, "0 8 101")
            self.callee.answers(self.callee.request("INVITE"), 200, body, tag="two")
        self.caller.ack(near, self.caller.response(200))
        self.callee.got()
        body = self.description(self.caller, 2).replace(b" 8 0 101", b" 8 101")
        self.caller.answers(self.caller.request("INVITE"), 200, body)
        told = self.callee.request("INVITE")
        [codec, _] = parseSDP(told.body).media[0].formats
        self.assertEqual(codec, "8")
        self.callee.answers(told, 200, self.branch("two", 7100), tag="two")
        self.assertEqual((self.callee.got(), self.caller.got()[-1]), (["INVITE", "ACK"], "ACK"))

    def test_otherCodecWhileTheKeyIsNew(self) -> None:
        """The branch that answers is offered a new key meanwhile; what the caller takes is no news for it."""
        near, far = self.call(self.description(self.caller).replace(b" 8 101", b" 8 0 101"))
        self.early(far, "one", 7000)
        body = self.branch("two", 7100, "0 101")
        self.callee.answers(far, 200, body, tag="two")
        self.caller.ack(near, self.caller.response(200))
        answer = self.description(self.caller, 2).replace(b" 8 0 101", b" 8 101")
        answer = answer.replace(b" 8 101", b" 0 101")
        self.caller.answers(self.caller.request("INVITE"), 200, answer)
        if self.callee is self.net.carrier:
            self.callee.answers(self.callee.request("INVITE"), 200, body, tag="two")
        invites = 2 if self.callee is self.net.carrier else 1
        self.assertEqual(self.callee.got().count("INVITE"), invites)

    def test_otherCodecAndChange(self) -> None:
        """The callee's own change comes before that re-INVITE may be sent: that is older, and not sent."""
        near, far = self.call(self.description(self.caller).replace(b" 8 101", b" 8 0 101"))
        self.early(far, "one", 7000)
        self.callee.answers(far, 200, self.branch("two", 7100, "0 101"), tag="two")
        accepted = self.caller.response(200)
        if self.callee is self.net.carrier:
            body = self.branch("two", 7100, "0 101")
            self.callee.answers(self.callee.request("INVITE"), 200, body, tag="two")
        change = self.callee.back(far, "INVITE", 1, "two", self.branch("two", 7200))
        again = self.caller.request("INVITE")
        self.caller.answers(again, 200, self.description(self.caller, 2))
        self.callee.ack(change, self.callee.response(200))
        self.caller.got()
        self.caller.ack(near, accepted)
        self.assertNotIn("INVITE", self.caller.got())

    def test_otherCodecGlare(self) -> None:
        """491 to that re-INVITE: again after the caller's time (section 14.1), up to 4 s."""
        self.answeredOtherwise()
        self.caller.answers(self.caller.request("INVITE"), 491)
        self.caller.got()
        self.net.clock.advance(4.0)
        self.assertEqual(self.caller.got(), ["INVITE"])

    def test_otherCodecGlareThenHangUp(self) -> None:
        """The call ends while that waits: nothing is sent again."""
        self.answeredOtherwise()
        self.caller.answers(self.caller.request("INVITE"), 491)
        self.net.manager.drain(1.0)
        self.caller.got()
        self.net.clock.advance(4.0)
        self.assertNotIn("INVITE", self.caller.got())

    def test_otherCodecRefused(self) -> None:
        """The caller refuses it: the call stays as it is; the dialog is gone only by 408 and 481."""
        self.answeredOtherwise()
        self.caller.answers(self.caller.request("INVITE"), 488)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.net.clock.advance(20.0)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_otherCodecGone(self) -> None:
        """481 to it ends the call."""
        self.answeredOtherwise()
        self.callee.got()
        self.caller.answers(self.caller.request("INVITE"), 481)
        self.assertEqual(self.callee.got(), ["BYE"])

    def test_freshKey(self) -> None:
        """More than one branch has our SRTP key: the one that answered is offered a new one (RFC 4568)."""
        for second in ("early", "final"):
            self.setUp()
            near, far = self.call()
            self.early(far, "one", 7000)
            if second == "early":
                self.early(far, "two", 7100)
            self.callee.answers(far, 200, self.branch("one", 7000), tag="one")
            self.caller.ack(near, self.caller.response(200))
            if second == "final":
                self.assertEqual(self.callee.got(), ["INVITE", "ACK"])
                self.callee.answers(far, 200, self.branch("two", 7100), tag="two")
                self.callee.answers(self.callee.request("BYE"), 200, tag="two")
            if self.callee is self.net.pbx:
                self.assertEqual(self.callee.channel.summary().count("INVITE"), int(second == "early"))
                continue
            before = usableCrypto(parseSDP(far.body).media[0].crypto)
            renewal = self.callee.request("INVITE")
            [line] = usableCrypto(parseSDP(renewal.body).media[0].crypto)
            self.assertNotIn(line.keys[0].master, [each.keys[0].master for each in before])
            self.assertEqual(renewal.toAddress.tag, "one")
            media = self.net.plane.legs[1]
            held = media.events[-1]
            self.callee.answers(renewal, 200, self.branch("one", 7000), tag="one")
            self.assertEqual(self.callee.request("ACK").cseq.number, renewal.cseq.number)
            self.assertNotEqual(media.events[-1], held)
            self.assertIn(("local", line.suite, line.keys[0].master), media.events)
            self.assertEqual(self.caller.got()[-1], 200, "nothing crosses")
            if second == "early":
                self.tearDown()

    def test_freshKeyAndChange(self) -> None:
        """A change crosses while the new key waits: it is offered all the same, with what has changed."""
        near, far, accepted = self.forked()
        if self.callee is self.net.pbx:
            return
        self.callee.answers(self.callee.request("INVITE"), 491, tag="one")
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2, "a=sendonly\r\n"))
        held = self.branch("one", 7000) + b"a=recvonly\r\n"
        self.callee.answers(self.callee.request("INVITE"), 200, held, tag="one")
        self.callee.got()
        self.net.clock.advance(4)
        [media] = parseSDP(self.callee.request("INVITE").body).media
        self.assertEqual(media.direction, "sendonly")
        former = [each.keys[0].master for each in usableCrypto(parseSDP(far.body).media[0].crypto)]
        [line] = usableCrypto(media.crypto)
        self.assertNotIn(line.keys[0].master, former)

    def test_freshKeyRefused(self) -> None:
        """Where the branch refuses that, the former key stays in use and is what later offers repeat."""
        near, far, accepted = self.forked()
        if self.callee is self.net.pbx:
            return
        self.callee.answers(self.callee.request("INVITE"), 488, tag="one")
        before = [each.keys[0].master for each in usableCrypto(parseSDP(far.body).media[0].crypto)]
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2, "a=sendonly\r\n"))
        [line] = usableCrypto(parseSDP(self.callee.request("INVITE").body).media[0].crypto)
        self.assertIn(line.keys[0].master, before)

    def test_otherSuite(self) -> None:
        """Branches take another suite of our offer each: who answers has the key of its suite again."""
        for answers in ("one", "two"):
            self.setUp()
            near, far = self.call()
            if self.callee is self.net.pbx:
                return
            offered = usableCrypto(parseSDP(far.body).media[0].crypto)
            bodies = {
                tag: self.branch(tag, port).replace(b"crypto:1 " + offered[0].suite.encode(), suite)
                for tag, port, suite in (
                    ("one", 7000, f"crypto:1 {offered[0].suite}".encode()),
                    ("two", 7100, f"crypto:2 {offered[1].suite}".encode()),
                )
            }
            for tag in ("one", "two"):
                self.callee.answers(far, 183, bodies[tag], tag=tag)
            self.callee.answers(far, 200, bodies[answers], tag=answers)
            accepted = self.caller.response(200)
            self.caller.ack(near, accepted)
            self.assertEqual(self.net.manager.callCount(), 1)
            ours = offered[0 if answers == "one" else 1]
            media: Any = self.net.plane.legs[1]
            self.assertEqual(media.last("local"), ours.suite)
            keys = [event[2] for event in media.events if event[0] == "local"]
            self.assertEqual(keys[-1], ours.keys[0].master)
            # Both branches have a key of ours, but not the same one; a new one is offered all the same.
            [line] = usableCrypto(parseSDP(self.callee.request("INVITE").body).media[0].crypto)
            self.assertEqual(line.suite, ours.suite)
            self.tearDown()
        self.setUp()

    def test_freshKeyMeetsGlare(self) -> None:
        """491: it is tried again by itself."""
        self.forked()
        if self.callee is self.net.pbx:
            return
        for _ in range(2):
            self.callee.answers(self.callee.request("INVITE"), 491, tag="one")
            self.callee.got()
            self.net.clock.advance(4)
        self.assertEqual(self.callee.got(), ["INVITE"])


class InboundForks(Forks):
    """The same where the carrier calls."""

    outbound = False


class TCPForks(Forks):
    """The same with the PBX on TCP."""

    transport = "tcp"


class InboundTCPForks(InboundForks):
    """The same where the carrier calls, with the PBX on TCP."""

    transport = "tcp"
