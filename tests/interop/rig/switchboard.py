"""Many scripted calls through one trunk at the same time, each between a PBX and a carrier of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.interop.rig.calls import NUMBER, CallCase
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import Message
from tests.interop.rig.sipp import Sipp
from tests.interop.rig.stunnel import Stunnel
from tests.interop.rig.trunk import USER, Trunk

#: Of a peer that must not hear of the call at all.
_UNHEARD = Scenario("unheard").request("INVITE")


@dataclass(frozen=True)
class Exchange:
    """
    One call, or a few.

    @ivar name: in file names, and in what is said of a failure.
    @ivar carrier: begins with L{registrar} if C{inbound}.  C{None}, here or for the PBX: it hears nothing.
    @ivar inbound: the carrier calls.
    @ivar transport: the PBX's: C{udp} or C{tcp}.
    @ivar pbxLines: further lines of its C{[[pbx]]}.
    @ivar trunkLines: further lines of its C{[[trunk]]}.
    @ivar profileLines: further lines of the carrier's profile.
    @ivar pbxCalls: how many Call-IDs the PBX's scenario is played for.
    @ivar carrierCalls: the same for the carrier's.
    """

    name: str
    pbx: Scenario | None
    carrier: Scenario | None
    inbound: bool = False
    transport: str = "udp"
    pbxLines: Sequence[str] = ()
    trunkLines: Sequence[str] = ()
    profileLines: Sequence[str] = ()
    pbxCalls: int = 1
    carrierCalls: int = 1


@dataclass(frozen=True)
class Played:
    """Both peers of an L{Exchange} at its end, and what each of them sent and received."""

    pbx: Sipp
    carrier: Sipp
    pbxMessages: Sequence[Message]
    carrierMessages: Sequence[Message]


class Switchboard(Trunk):
    """
    A trunk with several PBXes and carriers, each pair with its own routes.

    @ivar doors: where it listens for the PBX of each exchange.
    """

    def __init__(
        self,
        scratch: Path,
        exchanges: Sequence[Exchange],
        pbxes: Sequence[tuple[str, int]],
        targets: Sequence[str],
        caFile: Path,
    ) -> None:
        super().__init__(scratch, pbxes[0], caFile=caFile)
        self.doors = [(self.address, self.port)]
        self.doors += [(self.address, takePorts(self.address)) for _ in exchanges[1:]]
        secret = self._directory / "carrier.secret"
        text = ""
        for one, pbx, target, door in zip(exchanges, pbxes, targets, self.doors, strict=True):
            profile = self._directory / f"{one.name}.toml"
            lines = [f'title = "{one.name}"', f"register = {str(one.inbound).lower()}"]
            lines += ['called_from = "to"', *one.profileLines]
            if not any(line.startswith("options_interval") for line in lines):
                lines.append("options_interval = 0")
            profile.write_text("\n".join(lines) + "\n")
            text += f"""
[[trunk]]
name = "to-{one.name}"
profile = "{profile}"
domain = "{DOMAIN}"
username = "{USER}"
password_file = "{secret}"
targets = ["{target}"]
{chr(10).join(one.trunkLines)}
[trunk.tls]
ca_file = "{caFile}"
[[pbx]]
name = "{one.name}"
listen = ["udp:{door[0]}:{door[1]}", "tcp:{door[0]}:{door[1]}"]
address = "{one.transport}:{pbx[0]}:{pbx[1]}"
allow = ["127.0.0.0/8"]
{chr(10).join(one.pbxLines)}
[[route]]
from = "{one.name}"
to = ["to-{one.name}"]
[[route]]
from = "to-{one.name}"
to = ["{one.name}"]
"""
        rest = self.configuration.read_text()
        self.configuration.write_text(text + rest[rest.index("[media]") :])


class ScriptCase(CallCase):
    """A test whose peers, on both sides, are scenarios."""

    def playAll(self, *exchanges: Exchange, seconds: int = 20) -> list[Played]:
        """
        Play them at the same time.

        @param seconds: for all of them.
        @raise AssertionError: something else happened than a scenario says.
        """
        authority = Authority(self.scratch)
        certificate = authority.issue("server")
        carriers, pbxes, targets = [], [], []
        for one in exchanges:
            carrier = Sipp(
                self.scratch,
                f"{one.name}-carrier",
                one.carrier or _UNHEARD,
                address=host(42),
                transport="t1",
                seconds=seconds + 20,
                calls=one.carrierCalls,
            )
            stunnel = Stunnel(
                self.scratch, certificate, (carrier.address, carrier.port), f"{one.name}-stunnel"
            )
            carriers.append(self.started(carrier))
            self.started(stunnel)
            pbxes.append((host(41), takePorts(host(41))))
            targets.append(f"{stunnel.address}:{stunnel.port}")
        self._carriers = carriers
        board = Switchboard(self.scratch, exchanges, pbxes, targets, authority.file)
        phones = [
            Sipp(
                self.scratch,
                f"{one.name}-pbx",
                one.pbx or _UNHEARD,
                address=place[0],
                port=place[1],
                remote=None if one.inbound else door,
                service=NUMBER,
                transport="u1" if one.transport == "udp" else "t1",
                seconds=seconds + 20,
                calls=one.pbxCalls,
            )
            for one, place, door in zip(exchanges, pbxes, board.doors, strict=True)
        ]
        for one, phone in zip(exchanges, phones, strict=True):
            if one.inbound:
                self.started(phone)
        self.startTrunk(board)
        outbound = [phone for one, phone in zip(exchanges, phones, strict=True) if not one.inbound]
        if outbound:
            waitUntil(self._up, 15, "the trunks are up", pause=0.1)
        for phone in outbound:
            self.started(phone)
        self.meanwhile(phones, carriers)
        for one, phone, carrier in zip(exchanges, phones, carriers, strict=True):
            for peer, scenario in ((phone, one.pbx), (carrier, one.carrier)):
                if scenario is not None:
                    peer.finish(seconds)
        self.board = board
        return [
            Played(phone, carrier, phone.messages(), carrier.messages())
            for phone, carrier in zip(phones, carriers, strict=True)
        ]

    def meanwhile(self, phones: Sequence[Sipp], carriers: Sequence[Sipp]) -> None:
        """What happens beside the scenarios, of which none is waited for yet; nothing here."""

    def _up(self) -> bool:
        return self.trunk.text().count(f"{DOMAIN}: connected to") >= len(self._carriers)

    def secrets(self) -> list[bytes]:
        """Every SRTP key of every call."""
        messages = [message for carrier in self._carriers for message in carrier.messages()]
        return [line.key for message in messages for line in message.crypto()]
