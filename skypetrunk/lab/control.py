"""What can be asked of a running lab, beside what can be asked of a trunk: its switches."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.protocols.amp import Argument, Command, Unicode

from skypetrunk.service.control import Control, ControlRefused, IControlled

__all__ = ["ISwitched", "LabControl", "SetSwitches"]


class ISwitched(Protocol):
    """Who has switches."""

    def switches(self) -> list[dict[str, str]]:
        """Name, value, default and words of each."""

    def switch(self, changes: Mapping[str, str]) -> Deferred[None]:
        """
        Set some.  Fires when it is done.

        @raise ValueError: with a line for each mistake; nothing is changed.
        """


class SetSwitches(Command):
    """Set switches, none perhaps, and say what all of them are then: JSON both ways."""

    arguments: ClassVar[list[tuple[bytes, Argument]]] = [(b"changes", Unicode())]
    response: ClassVar[list[tuple[bytes, Argument]]] = [(b"switches", Unicode())]
    errors = {ControlRefused: b"REFUSED"}


class LabControl(Control):
    """One connection of a tool to a lab."""

    def __init__(self, controlled: IControlled, switched: ISwitched) -> None:
        super().__init__(controlled)
        self._switched = switched

    @classmethod
    def of(cls, switched: ISwitched) -> Callable[[IControlled], LabControl]:
        """What makes them."""
        return lambda controlled: cls(controlled, switched)

    @SetSwitches.responder
    def setSwitches(self, changes: str) -> Deferred[dict[str, object]]:
        """Answered when it is done."""

        async def change() -> dict[str, object]:
            try:
                wanted = json.loads(changes)
                if not isinstance(wanted, dict) or not all(isinstance(each, str) for each in wanted.values()):
                    raise ValueError("wanted an object of texts")
                await self._switched.switch(wanted)
            except (ValueError, OSError, CannotListenError) as error:
                raise ControlRefused(str(error)) from error
            return {"switches": json.dumps(self._switched.switches())}

        return Deferred.fromCoroutine(change())
