"""Routes between trunks and PBXes, written or implied."""

from __future__ import annotations

from tests.service.configurations import COMPLETE, SHORT, ConfigurationTestCase

_SECOND = """
[[trunk]]
name = "second"
profile = "generic"
domain = "sip.second.example"
username = "bob"
password_file = "skype.secret"
"""


def _route(source: str, *to: str, more: str = "") -> str:
    names = ", ".join(f'"{name}"' for name in to)
    return f'\n[[route]]\nfrom = "{source}"\nto = [{names}]\n{more}\n'


class RouteTests(ConfigurationTestCase):
    """C{[[route]]}."""

    def test_impliedOnlyForOne(self) -> None:
        """With two trunks nobody can guess."""
        self.assertEqual(
            self.problems(SHORT + _SECOND),
            [
                "route: is missing; "
                "would be right: [[route]] with from and to for each, as there are several "
                "trunks or PBXes"
            ],
        )

    def test_unknownNames(self) -> None:
        """Names that do not exist, with the nearest that does."""
        self.assertEqual(
            self.problems(SHORT + _route("ofice", "carrier") + _route("carrier", "offices")),
            [
                'route[1].from: there is no trunk or pbx "ofice"; did you mean "office"?',
                'route[2].to: there is no trunk or pbx "offices"; did you mean "office"?',
            ],
        )

    def test_sameKind(self) -> None:
        """Calls cross from one side to the other: never from a carrier to a carrier."""
        text = SHORT + _SECOND + _route("carrier", "second") + _route("office", "office", "second")
        self.assertEqual(
            self.problems(text),
            [
                'route[1].to: "second" is a trunk as "carrier" is, and calls go from one kind to the other; '
                "would be right: office",
                'route[2].to: "office" is a pbx as "office" is, and calls go from one kind to the other; '
                "would be right: carrier or second",
            ],
        )

    def test_within(self) -> None:
        """A PBX in this process may call the others, and be called by them; never itself."""
        plugin = '\n[[pbx]]\nname = "desk"\nplugin = "acme"\n[[plugin]]\nname = "acme"\n'
        text = SHORT + plugin + _route("office", "desk", "carrier") + _route("carrier", "office")
        routes = self.load(text + _route("desk", "office", "carrier"))[0].routes
        self.assertEqual([route.to for route in routes][::2], [("desk", "carrier"), ("office", "carrier")])
        self.assertEqual(
            self.problems(text + _route("desk", "desk")),
            [
                'route[3].to: "desk" is a pbx as "desk" is, and calls go from one kind to the other; '
                "would be right: carrier or office"
            ],
        )

    def test_incomplete(self) -> None:
        """Keys that are missing or empty, one name twice, prefixes that are none."""
        self.assertEqual(
            self.problems(
                SHORT + "\n[[route]]\n" + _route("office") + _route("office", "carrier", "carrier")
            ),
            [
                'route[1].from: is missing; would be right: from = "carrier"',
                'route[1].to: is missing; would be right: to = ["carrier"]',
                'route[2].to: is empty; would be right: to = ["carrier"]',
                "route[3].to: names one twice; would be right: each once",
            ],
        )
        self.assertProblem(
            '"+44"',
            '"44+"',
            'route[1].called: "44+" is no prefix of a number; would be right: "+44", or digits',
        )

    def test_warnings(self) -> None:
        """Routes that are never used, and who can neither call nor be called."""
        text = (
            SHORT
            + _SECOND
            + _route("office", "carrier", more='called = ["+44"]')
            + _route("office", "carrier")
        )
        _, warnings = self.load(text + _route("office", "second", more='called = ["+49"]'))
        prefix = f"{self.directory / 'trunk.toml'}: "
        self.assertEqual(
            [warning.removeprefix(prefix) for warning in warnings],
            [
                "route[3]: is never used: route[2] takes all calls before it",
                "trunk.carrier: no route leads from here: its calls are refused",
                "trunk.second: no route leads from here: its calls are refused",
                "pbx.office: no route leads here: it gets no calls",
            ],
        )


class WarningTests(ConfigurationTestCase):
    """What works, and should be known."""

    def warnings(self, text: str) -> list[str]:
        """The warnings of C{text} without the file's name."""
        prefix = f"{self.directory / 'trunk.toml'}: "
        return [warning.removeprefix(prefix) for warning in self.load(text)[1]]

    def test_fewPorts(self) -> None:
        """Fewer media ports than the trunk's calls need."""
        self.assertEqual(
            self.warnings(COMPLETE.replace("20000-29999", "20000-20039")),
            ["media.ports: 20000-20039 is enough for 10 calls, the trunks' limits allow 30"],
        )

    def test_loopbackMedia(self) -> None:
        """Media on loopback, a carrier that is not."""
        self.assertEqual(
            self.warnings(COMPLETE.replace('servers = ["127.0.0.1:5353"]', "")),
            ["media.address: 127.0.0.1 is this machine's own: a carrier elsewhere cannot send audio there"],
        )
        self.assertEqual(self.warnings(COMPLETE), [])

    def test_pbxMayNotCall(self) -> None:
        """The PBX's own address is not among those that may call."""
        self.assertEqual(
            self.warnings(COMPLETE.replace("127.0.0.0/8", "192.0.2.0/24")),
            ["pbx.office.allow: 127.0.0.1 is not among them: calls go there, none may come from there"],
        )
