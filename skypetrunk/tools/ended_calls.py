"""What a trunk says of calls that are over, for who has made them."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from skypetrunk.interfaces import CallEnded, CallRequest, IDialogObserver, LegStatistics


@implementer(IDialogObserver)
class EndedCalls:
    """
    An observer.

    @ivar calls: each with the statistics of its legs, in the order of their ends.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[CallEnded, tuple[LegStatistics, ...]]] = []

    def callStarted(self, request: CallRequest) -> None:
        """See L{IDialogObserver}."""

    def callAnswered(self, call: str) -> None:
        """See L{IDialogObserver}."""

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """See L{IDialogObserver}."""
        self.calls.append((ended, tuple(media)))


__all__ = ["EndedCalls"]
