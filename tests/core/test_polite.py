"""
Neighbours that keep to the RFCs, and do all that these allow, with messages that cross.  Whatever they do,
when it is quiet again each hears what it is to hear; and nothing is left at the end.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.leg import Leg
from skypetrunk.core.sides import FOLLOW, PASS, REFUSE, TAKE_OVER
from skypetrunk.interfaces import CallRequest, MediaAddress
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdes import MasterKey, usableCrypto
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import CallNet, Neighbour, RecordingMediaLeg
from tests.core.politeplay import RECEIVES, SENDS, Agent, Talk, directionOf
from tests.core.wirecheck import Wire

PLAYS = 60
"""Plays in each run of the tests, one for each seed; RACES=10000 in the environment makes more, from
RACES_FROM on."""

STEPS = 80
"""Things that the neighbours do in one play."""

CALLS = 4
"""That they begin themselves, beside those with Replaces."""

REST = 60
"""Seconds until all is quiet: longer than half a session interval of 90 s."""

LONGEST = 500.0
"""Seconds until everything must be over."""


def _shown(message: Request | Response) -> str:
    """One message, for whoever has to find out why a play went wrong."""
    what = message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
    tags = f"{message.fromAddress.tag}-{message.toAddress.tag}"
    return f"{what} {message.cseq.number} {tags} {directionOf(message.body) if message.body else ''}"


class Play:
    """
    One game.

    @ivar said: every message.
    """

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.net = CallNet(chance.choice(("udp", "tcp")), second=chance.random() < 0.3)
        neighbours = [each for each in (self.net.pbx, self.net.carrier, self.net.second) if each is not None]
        self.agents = [Agent(each, each is not self.net.pbx, chance) for each in neighbours]
        self.wires = [Wire(each) for each in neighbours]
        self.said: list[str] = []
        self._transfers = chance.random() < 0.5
        self._calls = 0
        for agent in self.agents:
            side = agent.neighbour.side
            side.transfer = chance.choice((TAKE_OVER, TAKE_OVER, PASS, REFUSE))
            side.ownTransfer = chance.choice((TAKE_OVER, TAKE_OVER, PASS, REFUSE))
            side.redirect = chance.choice((REFUSE, FOLLOW, PASS))
            side.earlyAnswersReliable = chance.random() < 0.7
            side.patience = chance.choice((None, 1.0))
            agent.refuses = chance.choice((0.0, 0.0, 0.2))
            agent.redirects = self._hosts(agent)
            self._listen(agent.neighbour)
        self._call(chance.choice(self.agents))

    def _listen(self, neighbour: Neighbour) -> None:
        name, says, sent = neighbour.side.name, neighbour.says, neighbour.channel.receiver
        assert sent is not None

        def said(message: Request | Response) -> None:
            self._note(f"{name} says {_shown(message)}")
            says(message)

        def heard(message: Request | Response) -> None:
            self._note(f"  to {name}: {_shown(message)}")
            sent(message)

        neighbour.says = said  # type: ignore[method-assign]
        neighbour.channel.receiver = heard

    def _note(self, text: str) -> None:
        self.said.append(f"{self.net.clock.seconds():.1f} {text}")

    def _hosts(self, agent: Agent) -> list[str]:
        return ["198.51.100.2:40000", "carrier.example"] if agent.secure else ["198.51.100.1"]

    def _uri(self, agent: Agent) -> str:
        return "sip:account@198.51.100.2:40000" if agent.secure else "sip:+4420@198.51.100.1"

    def _call(self, agent: Agent) -> None:
        if self._calls < CALLS:
            self._calls += 1
            agent.call(self._uri(agent))

    def step(self) -> None:
        """Somebody does something."""
        agent = self.chance.choice(self.agents)
        transfers = 2 * self._transfers
        actions: list[tuple[float, Callable[[], object]]] = [
            (60 if agent.unread else 0, agent.read),
            (2, lambda: self._call(agent)),
            (10, agent.rings),
            (8, agent.accepts),
            (1, agent.cancels),
            (12, agent.changes),
            (3, agent.updatesEarly),
            (3, lambda: agent.asks(self.chance.choice(("INFO", "OPTIONS", "UPDATE")))),
            (1, agent.bye),
            (5, lambda: self._wait(self.chance.choice((0.1, 0.5, 1.0, 2.0, 4.0)))),
            (0.7, lambda: self._wait(self.chance.choice((44.9, 45.0, 60.0)), reading=True)),
            (2 * transfers, lambda: agent.refers(self._hosts(agent))),
            (transfers, lambda: agent.replaces(self._uri(agent))),
        ]
        [(_, action)] = self.chance.choices(actions, [weight for weight, _ in actions])
        action()

    def _wait(self, seconds: float, reading: bool = False) -> None:
        clock = self.net.clock
        until = clock.seconds() + seconds
        while clock.seconds() < until:
            times = [call.getTime() for call in clock.getDelayedCalls()]
            retries = [each.retry for agent in self.agents for each in agent.talks]
            times += [each[0] for each in retries if each is not None]
            clock.advance(max(min([*times, until]) - clock.seconds(), 0.0))
            for agent in self.agents:
                agent.retries()
            if reading:
                self._readAll()

    def _readAll(self) -> None:
        """Everybody reads and answers until nothing is on its way."""
        for _ in range(500):
            busy = any(agent.unread for agent in self.agents)
            for agent in self.agents:
                while agent.unread:
                    agent.read()
                busy = agent.acceptsAll() or busy
            if not busy:
                return
        raise AssertionError("it never ends")

    def rest(self) -> list[str]:
        """
        Until nobody waits for anything.

        @return: what is wrong then.
        """
        for agent in self.agents:
            agent.calm = True
        self._wait(REST, reading=True)
        found = []
        for call in self.net.manager._bridges:
            if call.standing and call._transfer is None:
                if call._exchange is not None or not all(leg.free for leg in call.legs):
                    found.append(f"{call.request.call} waits for something")
        talks: dict[Leg, tuple[Agent, Talk]] = {}
        for agent in self.agents:
            for talk in agent.talks:
                if talk.pending:
                    found.append(f"{talk.names}: {talk.pending} requests have no answer")
                if talk.ended:
                    continue
                leg = self.net.manager.findLeg(agent.neighbour.side, *talk.names)
                if leg is None or talk.local is None:
                    found.append(f"{talk.names}: unknown to the trunk, or nothing was agreed")
                    continue
                talks[leg] = agent, talk
                found += self._media(leg, agent, talk)
        for leg, (_, talk) in talks.items():
            [call] = [each for each in self.net.manager._bridges if leg in each.legs]
            other = call.other(leg)
            if other not in talks:
                found.append(f"{talk.names} talks to nobody")
            elif not talk.odd and not talks[other][1].odd:
                found += self._flow(talk, talks[other][1])
        return found

    def _media(self, leg: Leg, agent: Agent, talk: Talk) -> list[str]:
        """The media leg is as the neighbour and the trunk have agreed last."""
        media, local, found = leg.session.media, talk.local, []
        assert isinstance(media, RecordingMediaLeg) and local is not None
        if media.last("remote") != MediaAddress(agent.neighbour.host, local.port, local.port + 1):
            found.append(f"{talk.names}: media goes to {media.last('remote')}, not to port {local.port}")
        if media.last("sending") is not (directionOf(talk.remote) in SENDS and local.direction in RECEIVES):
            found.append(f"{talk.names}: sends {media.last('sending')}")
        if agent.secure:
            for name, body in (("remote key", local.body), ("local", talk.remote)):
                if [event[2] for event in media.events if event[0] == name][-1] not in _keys(body):
                    found.append(f"{talk.names}: another {name}")
        return found

    def _flow(self, one: Talk, other: Talk) -> list[str]:
        """What one is to hear of the other it hears, and nothing else."""
        assert one.local is not None and other.local is not None
        path = one.local.direction, directionOf(one.remote), directionOf(other.remote), other.local.direction
        flows = path[0] in SENDS and path[1] in RECEIVES and path[2] in SENDS and path[3] in RECEIVES
        if flows is (one.wish in SENDS and other.wish in RECEIVES):
            return []
        return [f"{one.names} to {other.names}: {path}, wanted {one.wish} and {other.wish}"]

    def end(self) -> list[str]:
        """
        All hang up.

        @return: what is wrong then.
        """
        for agent in self.agents:
            for talk in [each for each in agent.talks if not each.ended]:
                agent.bye(talk)
                self._readAll()
        self._wait(LONGEST, reading=True)
        self._wait(LONGEST, reading=True)
        found = [f"left over: {what} {number}" for what, number in self.net.leftovers().items() if number]
        found += [fault for wire in self.wires for fault in wire.end()]
        found += [fault for agent in self.agents for fault in agent.faults]
        started = Counter(e.call for _, e in self.net.observer.events if isinstance(e, CallRequest))
        ended = Counter(each.call for each in self.net.observer.ended)
        if started != ended:
            found.append(f"started {started}, ended {ended}")
        return found


def _keys(body: bytes) -> list[MasterKey]:
    return [line.keys[0].master for line in usableCrypto(parseSDP(body).media[0].crypto)]


class Polite(SynchronousTestCase):
    """Plays of chance."""

    def play(self, seed: int) -> None:
        """One of them."""
        game = Play(seed)
        try:
            for _ in range(STEPS):
                game.step()
            faults = game.rest() + game.end()
        except Exception as error:
            raise AssertionError("\n".join([f"seed {seed}", *game.said])) from error
        faults += [each.getTraceback() for each in self.flushLoggedErrors()]
        if faults:
            raise AssertionError("\n".join([f"seed {seed}", *game.said, *faults]))

    def test_eachHearsTheOther(self) -> None:
        """At rest each hears what it is to hear, with the keys and addresses agreed; nothing is left."""
        first = int(os.environ.get("RACES_FROM", "0"))
        for seed in range(first, first + int(os.environ.get("RACES", PLAYS))):
            self.play(seed)
