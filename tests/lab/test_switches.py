"""The table of switches, and the control that works them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.lab.kinds import FLAG, Kind, Number, Several, Text
from skypetrunk.lab.settings import CarrierSettings, LabSettings
from skypetrunk.lab.switches import (
    CUT,
    DEFAULTS,
    SWITCHES,
    changed,
    listed,
    parsed,
    readSwitches,
    shown,
    split,
)
from skypetrunk.service.control import ControlRefused, ControlUnavailable
from skypetrunk.tools.lab_set import setSwitches
from tests.lab.raw import LabCase

NO_SWITCHES = {
    *("accounts", "domain", "answeringTone", "callingTone", "ringing", "patience"),
    *("carrier", "directory", "address", "port", "dnsPort", "ocspPort", "control", "entropy"),
}
"""Settings that belong to the test numbers, or to where the lab is."""


class TableTests(SynchronousTestCase):
    """Names, values, defaults."""

    def test_complete(self) -> None:
        """Each setting has its switch, and each switch a setting and words."""
        paths = {switch.path for switch in SWITCHES} - {""}
        self.assertEqual(len({switch.name for switch in SWITCHES}), len(SWITCHES))
        settings = {f"carrier.{field.name}" for field in fields(CarrierSettings)}
        settings |= {field.name for field in fields(LabSettings)}
        settings = {path for path in settings if path.rpartition(".")[2] not in NO_SWITCHES}
        self.assertEqual({path for path in paths if "srtp" not in path}, settings - {"carrier.srtp"})
        for switch in SWITCHES:
            self.assertTrue(switch.words.endswith("."), switch.name)

    def test_roundTrip(self) -> None:
        """What is shown is what may be written; each default is its own value."""
        for switch in SWITCHES:
            if switch.name != CUT:
                value = parsed({switch.name: switch.default})
                self.assertEqual(changed(DEFAULTS, value), DEFAULTS, switch.name)

    def test_kinds(self) -> None:
        """Values that are none."""
        cases: list[tuple[Kind, tuple[str, ...]]] = [
            (FLAG, ("", "yes", "ON")),
            (Number(1, 9), ("0", "10", "1.5", "x", "", "auto")),
            (Number(1, 9, whole=False), ("nan", "inf", "0.5")),
            (Several({"a": 1, "b": 2}), ("", "none", "a,c", "a,,b")),
            (Text("x"), ("", "a\nb")),
        ]
        for kind, wrong in cases:
            for text in wrong:
                self.assertRaises(ValueError, kind.parse, text)
        self.assertIsNone(Number(1, 9, word="auto").parse("auto"))
        self.assertEqual(Several({"a": 1}, least=0).parse("none"), ())

    def test_mistakes(self) -> None:
        """All of them, and what would be right."""
        error = self.assertRaises(ValueError, parsed, {"tls": "9", "zebra": "1", "ttl": "3"})
        first, second = str(error).splitlines()
        self.assertEqual(first, "tls: '9' is not any or 1.0 or 1.1 or 1.2 or 1.3")
        self.assertTrue(second.startswith("zebra: there is no such switch; there are dns, nodes"))
        self.assertRaises(ValueError, split, ["tls"])
        self.assertRaises(ValueError, parsed, {"ciphers": "nonsense"})

    def test_file(self) -> None:
        """TOML of every type; no tables."""
        path = Path(self.mktemp())
        path.write_text('qop = false\nttl = 7\nidle = 1.5\nnodes = ["dead", "good"]\nservice-route = "none"')
        wanted = {"qop": "off", "ttl": "7", "idle": "1.5", "nodes": "dead,good", "service-route": "none"}
        self.assertEqual(readSwitches(path), wanted)
        path.write_text("[tls]\nversion = 1")
        self.assertRaises(ValueError, readSwitches, path)

    def test_listed(self) -> None:
        """A star marks what is not as it is by default."""
        lines = listed(shown(changed(DEFAULTS, parsed({"tls": "1.2"}))))
        self.assertIn("* tls = 1.2", lines)
        self.assertIn("  idle = 0", lines)


class ControlTests(LabCase):
    """C{skypetrunk lab-set}, over the control socket."""

    def socket(self) -> Path:
        """A lab with a control socket."""
        lab = self.start(control=True)
        assert lab.settings.control is not None
        return lab.settings.control

    async def set(self, socket: Path, **changes: str) -> dict[str, str]:
        """Values of all switches afterwards."""
        switches = await setSwitches(self.reactor, socket, changes)
        return {each["name"]: each["value"] for each in switches}

    async def test_setAndListed(self) -> None:
        """What was set is shown, and in force; a mistake changes nothing."""
        socket = self.socket()
        values = await self.set(socket)
        self.assertEqual(values, {switch.name: switch.default for switch in SWITCHES})
        values = await self.set(socket, tls="1.2", channels="1")
        self.assertEqual((values["tls"], values["channels"]), ("1.2", "1"))
        client = await self.connect()
        self.assertEqual(client.handle.get_protocol_version_name(), "TLSv1.2")
        with self.assertRaises(ControlRefused) as refused:
            await self.set(socket, tls="1.3", channels="many")
        self.assertIn("channels: 'many' is not", str(refused.exception))
        self.assertEqual((await self.set(socket))["tls"], "1.2")

    async def test_defaults(self) -> None:
        """All others go back to their defaults."""
        socket = self.socket()
        await self.set(socket, tls="1.2", channels="1")
        switches = await setSwitches(self.reactor, socket, {"ttl": "9"}, defaults=True)
        changed = {each["name"]: each["value"] for each in switches if each["value"] != each["default"]}
        self.assertEqual(changed, {"ttl": "9"})

    async def test_nobody(self) -> None:
        """No lab runs there."""
        with self.assertRaises(ControlUnavailable):
            await self.set(Path("/nowhere/control.sock"))
