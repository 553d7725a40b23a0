"""An auto-attendant: it answers, greets, reads keys and transfers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from skypetrunk.errors import CallRefused, ConfigurationError
from skypetrunk.interfaces import IPBX, AudioPacket, IPBXCall, IPBXCallUser, IPBXLine
from skypetrunk_attendant.sound import frames, readWAV

ROUNDS = 3
"""How often the greeting is played to one caller."""

PAUSE = 2.0
"""Seconds after a key that end a choice."""


@dataclass(frozen=True)
class Settings:
    """
    What a configuration says.

    @ivar greeting: frames, by codec.
    @ivar menu: number to call, by the keys that lead there.
    @ivar operator: number for those who choose nothing, or C{None}.
    @ivar patience: seconds after the greeting.
    """

    greeting: Mapping[str, Sequence[bytes]]
    menu: Mapping[str, str]
    operator: str | None = None
    patience: float = 5.0


def readSettings(settings: Mapping[str, object], directory: Path) -> Settings:
    """
    Read and check them.

    @raise ConfigurationError: every mistake.
    """
    unknown = sorted(settings.keys() - {"greeting", "menu", "operator", "patience"})
    problems = [f"settings.{name}: is not known" for name in unknown]
    greeting, samples = settings.get("greeting"), None
    if isinstance(greeting, str) and greeting:
        try:
            samples = readWAV(directory / greeting)
        except ValueError as error:
            problems.append(f"settings.greeting: {greeting}: {error}")
    else:
        problems.append('settings.greeting: would be right: "greeting.wav"')
    menu: dict[str, str] = {}
    given = settings.get("menu")
    for keys, number in (given if isinstance(given, dict) else {}).items():
        if not set(keys) <= set("0123456789*") or not isinstance(number, str) or not number:
            problems.append(f'settings.menu.{keys}: would be right: 1 = "+442079460111"')
        else:
            menu[keys] = number
    if not given:
        problems.append('settings.menu: would be right: { 1 = "+442079460111" }')
    operator, patience = settings.get("operator"), settings.get("patience", 5)
    if operator is not None and (not isinstance(operator, str) or not operator):
        problems.append('settings.operator: would be right: "1000"')
    if isinstance(patience, bool) or not isinstance(patience, int | float) or not 0 < patience <= 60:
        problems.append("settings.patience: would be right: 5")
    if problems or samples is None:
        raise ConfigurationError(tuple(problems))
    assert isinstance(patience, int | float) and (operator is None or isinstance(operator, str))
    sound = {codec: frames(samples, codec) for codec in ("PCMA", "PCMU")}
    return Settings(sound, menu, operator, patience)


@implementer(IPBXCallUser)
class Conversation:
    """One caller."""

    def __init__(self, reactor: Any, call: IPBXCall, settings: Settings) -> None:
        self._reactor = reactor
        self._call = call
        self._settings = settings
        self._keys = ""
        self._over = False
        self._waiting: Deferred[None] | None = None

    async def answered(self) -> None:
        """The conversation."""
        for _ in range(ROUNDS):
            keys = await self._ask()
            if self._over:
                return
            if not keys:
                break
            number = self._settings.menu.get(keys)
            if number is not None and await self._transfer(number):
                return
        operator = self._settings.operator
        if operator is None or not await self._transfer(operator):
            self._call.hangUp()

    async def _ask(self) -> str:
        """What the caller chooses; nothing if nothing is pressed."""
        self._keys = ""
        media = self._call.media
        await media.play(self._settings.greeting[media.codec])
        while not self._over and not self._chosen():
            before = self._keys
            await self._another(PAUSE if before else self._settings.patience)
            if self._keys == before:
                break
        return self._keys.removesuffix("#")

    def _chosen(self) -> bool:
        """Could no further key lead elsewhere?"""
        keys = self._keys
        longer = any(each.startswith(keys) and each != keys for each in self._settings.menu)
        return keys.endswith("#") or (bool(keys) and not longer)

    async def _another(self, seconds: float) -> None:
        """Wait for a key."""
        self._waiting = Deferred()
        timer = self._reactor.callLater(seconds, self._go)
        await self._waiting
        if timer.active():
            timer.cancel()

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def _transfer(self, number: str) -> bool:
        """Did it work, or is the caller gone?"""
        try:
            await self._call.transfer(number)
        except CallRefused:
            return self._over
        return True

    # IPBXCallUser

    def progressed(self, status: int) -> None:
        """No calls are placed here."""

    def mediaChanged(self) -> None:
        """On hold the greeting waits by itself; another codec ends it, and it is a choice of nothing."""

    def packetReceived(self, packet: AudioPacket) -> None:
        """Nobody listens."""

    def digitReceived(self, digit: str) -> None:
        """Whoever knows the menu need not hear all of it."""
        self._keys += digit
        if self._waiting is None:
            self._call.media.stop()
        else:
            self._go()

    def refused(self, refusal: CallRefused) -> None:
        """No calls are placed here."""

    def ended(self, cause: str) -> None:
        """The caller is gone."""
        self._over = True
        self._go()


@implementer(IPBX)
class Attendant:
    """Takes every call."""

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self._reactor = reactor
        self._settings = settings

    def attached(self, line: IPBXLine) -> None:
        """No calls are placed here."""

    def callReceived(self, call: IPBXCall) -> IPBXCallUser:
        """Answer at once."""
        call.answer()
        return Conversation(self._reactor, call, self._settings)


__all__ = ["Attendant", "Conversation", "Settings", "readSettings"]
