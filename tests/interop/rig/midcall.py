"""Calls that are up, in which one peer does something and the other one answers."""

from __future__ import annotations

from collections.abc import Sequence

from tests.interop.rig.party import CARRIER, PBX, Party, established
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import Message
from tests.interop.rig.switchboard import Exchange, Played, ScriptCase

#: Who calls, who acts first in the call, and how the PBX signals.
KINDS = [(False, "caller", "udp"), (False, "callee", "tcp"), (True, "caller", "udp"), (True, "callee", "tcp")]


class MidCallCase(ScriptCase):
    """Both peers do something while the call is up; who began it ends the call."""

    def call(
        self,
        name: str,
        inbound: bool,
        actor: str,
        transport: str,
        *,
        caller: Sequence[str] = (),
        callee: Sequence[str] = (),
    ) -> None:
        """
        Begin a call whose first actor is C{caller} or C{callee}.

        @param caller: headers of the INVITE.
        @param callee: headers of its answer.

        @ivar actor: it acts, in its scenario C{acting}, with requests written by C{write}.
        @ivar partner: it answers, in C{answering}; C{reply} writes its requests.
        """
        self.kind = (f"{name}-{'in' if inbound else 'out'}-{actor}-{transport}", inbound, transport)
        self.caller, self.callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        self.calling, self.called = established(name, inbound=inbound, headers=caller, callee=callee)
        callerActs = actor == "caller"
        self.actor: Party = self.caller if callerActs else self.callee
        self.partner: Party = self.callee if callerActs else self.caller
        self.acting: Scenario = self.calling if callerActs else self.called
        self.answering: Scenario = self.called if callerActs else self.calling
        self.write = self.actor.inside(not callerActs)
        self.reply = self.partner.inside(callerActs)
        # The callee's CSeq begins at its first request, the caller's goes on after the INVITE's.
        self.first, self.replyFirst = (2, 1) if callerActs else (1, 2)

    def end(self, made: int) -> Exchange:
        """The actor, which has made so many requests, hangs up: nobody else knows when it is done."""
        self.actor.hangsUp(self.acting.pause(200), self.first + made, called=self.actor is self.callee)
        self.partner.hungUp(self.answering)
        name, inbound, transport = self.kind
        pbx, carrier = (self.called, self.calling) if inbound else (self.calling, self.called)
        return Exchange(name, pbx, carrier, inbound, transport)

    def sides(self, one: Played, actor: str, inbound: bool) -> tuple[list[Message], list[Message]]:
        """What the actor, and what its partner, sent and received."""
        both = (list(one.pbxMessages), list(one.carrierMessages))
        return both if (actor == "caller") != inbound else both[::-1]
