"""
Neighbours that do anything at any time: calls, answers, refusals, forks, holds, UPDATE, REFER, Replaces,
NOTIFY, lost connections and a stop.  Whatever they do, every call ends once and nothing is left of it.
"""

from __future__ import annotations

import os
import random
from collections import Counter

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.sides import FOLLOW, PASS, REFUSE, TAKE_OVER
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import CallRequest
from tests.core.callnet import CallNet
from tests.core.chanceplay import Player
from tests.core.wirecheck import Wire

PLAYS = 100
"""Plays in each run of the tests, one for each seed; RACES=10000 in the environment makes more, from
RACES_FROM on."""

STEPS = 40
"""Things that the neighbours do in one play."""

LONGEST = 500.0
"""Seconds until everything must be over: longer than a call rings, and than a subscription lives."""


class Costs:
    """
    A guard of all sides to whom every leg costs something.

    @ivar goingOn: the calls that have ended, and whose leg goes on in another.
    """

    def __init__(self) -> None:
        self.goingOn: set[str] = set()

    def refusal(self, name: str, request: CallRequest) -> CallRefused | None:
        """There is room."""

    def taken(self, name: str, request: CallRequest) -> None:
        """It is not asked for that."""

    def goesOn(self, call: str, name: str) -> bool:
        """Once for each call."""
        assert call not in self.goingOn, "both legs of a call go on"
        self.goingOn.add(call)
        return True

    def legEnded(self, call: str) -> None:
        """Once after that."""
        self.goingOn.remove(call)

    def legReplaced(self, call: str) -> None:
        """Of a call that goes on by itself."""
        assert call not in self.goingOn, "a call that has ended has lost a leg"


class Play:
    """
    One game.

    @ivar said: what was done, for whoever has to find out why it went wrong.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.net = CallNet(self.chance.choice(("udp", "tcp")), second=self.chance.random() < 0.3)
        pbx, carrier, second = self.net.pbx, self.net.carrier, self.net.second
        self.players = [Player(pbx, False, self.chance), Player(carrier, True, self.chance)]
        if second is not None:
            self.players.append(Player(second, True, self.chance))
        self.wires = {player: Wire(player.neighbour) for player in self.players}
        self.costs = Costs()
        self.asked: list[Deferred[None]] = []
        self.said: list[str] = []
        wild = self.chance.choice((0.0, 0.3, 1.0))
        fax = self.chance.choice((0.0, 0.0, 0.1, 0.3))
        for player in self.players:
            side = player.neighbour.side
            side.guard = self.costs
            side.transfer = self.chance.choice((TAKE_OVER, TAKE_OVER, PASS, REFUSE))
            side.ownTransfer = self.chance.choice((TAKE_OVER, TAKE_OVER, PASS, REFUSE))
            side.redirect = self.chance.choice((REFUSE, FOLLOW, PASS))
            side.fax = not player.secure or self.chance.random() < 0.8
            side.limit = self.chance.choice((None, None, None, 4))
        for _ in range(self.chance.randrange(1, 5)):
            self._call(self.chance.choice(self.players))
        for player in self.players:
            player.wild, player.fax = wild, fax
            player.challenges = self.chance.choice((0.0, 0.0, 0.3)) if player.secure else 0.0
        if self.chance.random() < 0.3:
            self.net.policy.result = self._policy

    def _call(self, caller: Player) -> None:
        """One that stands."""
        caller.invites(self._trunkFor(caller))
        for _ in range(4):
            self._read()
            for player in self.players:
                player.answers()
                player.acknowledges()

    def _trunkFor(self, player: Player) -> str:
        return "sip:account@198.51.100.2:40000" if player.secure else "sip:+4420@198.51.100.1"

    def _policy(self, request: CallRequest) -> Deferred[None] | None:
        pick = self.chance.random()
        if pick < 0.2:
            raise CallRefused("not that one", 403)
        if pick < 0.6:
            self.asked.append(Deferred())
            return self.asked[-1]
        return None

    def _decides(self) -> None:
        if self.asked:
            asked = self.asked.pop(self.chance.randrange(len(self.asked)))
            if self.chance.random() < 0.8:
                asked.callback(None)
            else:
                asked.errback(CallRefused("at last not", 403))

    def step(self) -> None:
        """Somebody does something."""
        player = self.chance.choice(self.players)
        mine = player.dialogs
        uri = self._trunkFor(player)
        actions = {
            "invites": (5, lambda: player.invites(uri)),
            "answers": (30, player.answers),
            "acknowledges": (20, player.acknowledges),
            "cancels": (1, player.cancels),
            "BYE": (3, lambda: player.within("BYE")),
            "reinvites": (8, lambda: player.within("INVITE", player.body())),
            "UPDATE": (6, lambda: player.within("UPDATE", player.body())),
            "INFO": (1, lambda: player.within("INFO")),
            "OPTIONS": (1, lambda: player.within("OPTIONS")),
            "pracks": (8, player.pracks),
            "refers": (14, lambda: player.refers(mine)),
            "replaces": (6, lambda: player.replaces(uri, mine)),
            "notifies": (4, player.notifies),
            "loses": (0.5, lambda: self._loses(player)),
            "decides": (4, self._decides),
            "waits": (6, lambda: self._wait(self.chance.choice((0.0, 0.1, 0.5, 2.0, 2.5, 4.0, 10.0, 33.0)))),
            "ports": (0.5, lambda: setattr(self.net.plane, "left", self.chance.choice((0, 1, 1000)))),
            "drains": (0.2, lambda: self.net.manager.drain(5.0)),
        }
        [name] = self.chance.choices(list(actions), [weight for weight, _ in actions.values()])
        self.said.append(f"{self.net.clock.seconds():.1f} {player.neighbour.side.name} {name}")
        actions[name][1]()
        self._read()
        self._check()

    def _loses(self, player: Player) -> None:
        self.wires[player].lost = True
        player.loses()

    def _check(self) -> None:
        """What must hold at any time: whoever is in a call that stands is there, and hears the other."""
        counted: Counter[str] = Counter()
        for call in self.net.manager._bridges:
            for leg, sides in call._legs.items():
                assert leg.owner is call, "a leg of another call"
                counted.update(side.name for side in sides)
            if not call.standing:
                continue
            near, far = call._near, call._far
            assert near is not None and far is not None, "half a call stands"
            for leg in (near, far):
                assert leg in call._legs and not leg._gone, f"{call.request.call} without {leg.key}"
                assert not leg.session.media.released, "a call without media"  # type: ignore[attr-defined]
                assert not leg.refresh._stopped, "a leg has hung up, and its call stands"
            if call.movable and all(leg.free and leg.refresh._waiting is None for leg in (near, far)):
                assert near.session.faxing is far.session.faxing, "half a fax"
            if call._transfer is None:
                assert near.session.media.joined is far.session.media, "silence"  # type: ignore[attr-defined]
        for player in self.players:
            side = player.neighbour.side
            assert side.calls == counted[side.name], f"{side.name} counts {side.calls} of {counted}"

    def _wait(self, seconds: float) -> None:
        until = self.net.clock.seconds() + seconds
        while True:
            times = [call.getTime() for call in self.net.clock.getDelayedCalls() if call.getTime() <= until]
            if not times:
                break
            self.net.clock.advance(max(min(times) - self.net.clock.seconds(), 0.0))
            self._read()
        self.net.clock.advance(until - self.net.clock.seconds())

    def _read(self) -> None:
        for _ in range(20):
            before = [len(player.neighbour.channel.sent) for player in self.players]
            for player in self.players:
                player.read()
            if before == [len(player.neighbour.channel.sent) for player in self.players]:
                return

    def end(self) -> None:
        """All hang up whatever they know of, and answer whatever comes; a stop does the same by itself."""
        for player in self.players:
            player.diligent = True
            player.neighbour.finder.down = False
        if self.chance.random() < 0.3:
            self._settle()
        if self.chance.random() < 0.3:
            self.net.manager.drain(5.0)
        else:
            for player in self.players:
                for known in list(player.dialogs):
                    player.within("BYE", known=known)
                    self._read()
                for invite in player.changes:
                    player.neighbour.cancel(invite)
                    self._read()
        self._answerAll()
        self._wait(LONGEST)
        self._answerAll()
        for asked in self.asked:
            asked.callback(None)
        self._wait(LONGEST)

    def _settle(self) -> None:
        """Where everything is answered no call waits for anything any more."""
        for _ in range(8):
            while self.asked:
                self.asked.pop().callback(None)
            self._answerAll(hangUp=False)
            self._wait(20.0)
        self._answerAll(hangUp=False)
        for call in self.net.manager._bridges:
            if call.standing and call._transfer is None:
                assert call._exchange is None, f"{call.request.call}: an exchange that nobody ends"
                assert all(leg.free for leg in call.legs), f"{call.request.call}: a leg that waits"

    def _answerAll(self, hangUp: bool = True) -> None:
        for _ in range(50):
            self._read()
            for player in self.players:
                for request in list(player.waiting):
                    if request in player.waiting:
                        player.answers(request)
                while player.unacknowledged:
                    player.acknowledges()
                while player.reliable and not hangUp:
                    player.pracks()
                for known in list(player.dialogs) if hangUp else ():
                    player.within("BYE", known=known)
            if not any(player.waiting for player in self.players):
                return

    def faults(self) -> list[str]:
        """What is wrong after the end."""
        found = [f"left over: {what} {number}" for what, number in self.net.leftovers().items() if number]
        found += [fault for wire in self.wires.values() for fault in wire.end()]
        found += [f"costs for ever: {call}" for call in self.costs.goingOn]
        events = self.net.observer.events
        started = Counter(each.call for name, each in events if isinstance(each, CallRequest))
        ended = Counter(each.call for each in self.net.observer.ended)
        if started != ended or any(number > 1 for number in started.values()):
            found.append(f"started {started}, ended {ended}")
        keys: set[object] = set()
        for leg in self.net.plane.legs:
            used = [tuple(key) for name, *key in leg.events if name == "local"]
            runs = [key for at, key in enumerate(used) if not at or used[at - 1] != key]
            for run in runs:
                if run in keys:
                    found.append(f"{leg.name}: a key of ours comes back")
                keys.add(run)
        return found


class Anything(SynchronousTestCase):
    """Plays of chance."""

    def play(self, seed: int) -> None:
        """One of them."""
        game = Play(seed)
        try:
            for _ in range(STEPS):
                game.step()
            game.end()
        except Exception as error:
            raise AssertionError(f"seed {seed}, after {game.said}") from error
        logged = self.flushLoggedErrors()
        if logged:
            raise AssertionError(f"seed {seed}, after {game.said}: {logged[0].getTraceback()}")
        faults = game.faults()
        if faults:
            raise AssertionError(f"seed {seed}, after {game.said}: {faults}")

    def test_nothingIsLeft(self) -> None:
        """Each call ends once; no leg, port, timer or transaction outlives it; no key is used twice."""
        first = int(os.environ.get("RACES_FROM", "0"))
        for seed in range(first, first + int(os.environ.get("RACES", PLAYS))):
            self.play(seed)
