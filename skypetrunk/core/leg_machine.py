"""
The machine of a leg: from its first INVITE to the moment when nothing of it is left on the wire
(RFC 3261 sections 13 to 15).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder

from skypetrunk.core.machines import indexed


class LegInputs(Protocol):
    """What happens to a leg."""

    def answer(self) -> None:
        """We sent a 2xx, and wait for its ACK."""

    def confirm(self) -> None:
        """The ACK came, or was given up; or a 2xx came."""

    def refuse(self) -> None:
        """The INVITE of this state got a final response other than 2xx, sent or received."""

    def hangUp(self) -> None:
        """The call is to end."""

    def end(self) -> None:
        """A BYE came, or ours was answered."""


class Ends:
    """How a leg ends: what its machine makes it do."""

    def cancelInvite(self) -> None:
        """Take our pending INVITE back."""

    def sendBye(self) -> None:
        """BYE (RFC 3261 section 15.1.1)."""

    def goAway(self) -> None:
        """Nothing of this leg is left on the wire."""


def _build() -> Callable[[Ends], LegInputs]:
    builder = TypeMachineBuilder(LegInputs, Ends)
    setup = builder.state("setup")
    answered = builder.state("answered")
    confirmed = builder.state("confirmed")
    cancelling = builder.state("cancelling")
    closing = builder.state("closing")
    leaving = builder.state("leaving")
    gone = builder.state("gone")

    def goAway(inputs: LegInputs, leg: Ends) -> None:
        leg.goAway()

    def sendBye(inputs: LegInputs, leg: Ends) -> None:
        leg.sendBye()

    setup.upon(LegInputs.answer).to(answered).returns(None)
    confirmed.upon(LegInputs.answer).to(answered).returns(None)
    answered.upon(LegInputs.answer).loop().returns(None)

    setup.upon(LegInputs.confirm).to(confirmed).returns(None)
    answered.upon(LegInputs.confirm).to(confirmed).returns(None)
    confirmed.upon(LegInputs.confirm).loop().returns(None)
    # RFC 3261 section 15: the callee sends BYE only after the ACK came (or will not come).
    closing.upon(LegInputs.confirm).to(leaving)(sendBye)
    cancelling.upon(LegInputs.confirm).loop().returns(None)

    setup.upon(LegInputs.refuse).to(gone)(goAway)
    cancelling.upon(LegInputs.refuse).to(gone)(goAway)

    @setup.upon(LegInputs.hangUp).to(cancelling)
    def cancelInvite(inputs: LegInputs, leg: Ends) -> None:
        leg.cancelInvite()

    answered.upon(LegInputs.hangUp).to(closing).returns(None)
    confirmed.upon(LegInputs.hangUp).to(leaving)(sendBye)

    for state in (setup, answered, confirmed, cancelling, closing, leaving):
        state.upon(LegInputs.end).to(gone)(goAway)

    for state in (answered, confirmed, closing, leaving, gone):
        state.upon(LegInputs.refuse).loop().returns(None)
    for state in (cancelling, closing, leaving, gone):
        state.upon(LegInputs.answer).loop().returns(None)
        state.upon(LegInputs.hangUp).loop().returns(None)
    for state in (leaving, gone):
        state.upon(LegInputs.confirm).loop().returns(None)
    gone.upon(LegInputs.end).loop().returns(None)
    return builder.build()


startLeg = indexed(_build())

__all__ = ["Ends", "LegInputs", "startLeg"]
