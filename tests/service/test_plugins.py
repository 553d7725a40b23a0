"""Plugins are found by name; whatever is doubtful about one ends the start, with its name."""

from __future__ import annotations

import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from shutil import rmtree
from textwrap import dedent

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import ConfigurationError
from skypetrunk.service.plugin_table import PluginConfiguration
from skypetrunk.service.plugins import Vendors, checkChosen, checkSettings, createVendors, findPlugins
from skypetrunk.tools.check import Options, main, summary
from tests.service.configurations import COMPLETE, ConfigurationTestCase
from twisted import plugins as dropins

_DROPIN = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import ICallPolicy, ICallRecordSink, INumberPlan, IPBX, IPBXDialect, IVendorPlugin

@implementer(ICallPolicy, ICallRecordSink)
class Both:
    def __init__(self, *made):
        self.made = made
    def admit(self, request):
        return None
    def record(self, record):
        return None

@implementer(INumberPlan)
class Plan:
    def isEmergency(self, called):
        return False
    def normalise(self, called):
        return called

@implementer(IPBXDialect)
class Dialect:
    def fromPBX(self, message):
        return message
    def toPBX(self, message):
        return message

@implementer(IPBX)
class Exchange:
    def attached(self, line):
        pass
    def callReceived(self, call):
        raise NotImplementedError

@implementer(ICallPolicy)
class Half:
    pass

def broken(*made):
    raise RuntimeError("no disk")

def told(*made):
    raise ConfigurationError("settings: one text is one line")

def refused(*made):
    raise ConfigurationError(("settings.database: is missing",))

@implementer(IPlugin, IVendorPlugin)
class Maker:
    def __init__(self, name, create):
        self.name = name
        self.create = create
"""


class PluginCase(SynchronousTestCase):
    """Has a directory beside the other dropins."""

    def setUp(self) -> None:
        """Make it, and let Twisted look there."""
        root = Path(tempfile.mkdtemp(prefix="skypetrunk-"))
        self.addCleanup(rmtree, root)
        self.directory = root / "twisted" / "plugins"
        self.directory.mkdir(parents=True)
        self.patch(dropins, "__path__", [*dropins.__path__, str(self.directory)])
        self.addCleanup(self.forget)

    def forget(self) -> None:
        """Python keeps no module of this test."""
        for path in self.directory.rglob("*.py"):
            sys.modules.pop(f"twisted.plugins.{path.stem}", None)

    def write(self, name: str, lines: str = "", text: str = _DROPIN) -> None:
        """A dropin."""
        (self.directory / f"{name}.py").write_text(text + dedent(lines))

    def create(self, *names: str) -> Vendors:
        """What these plugins make."""
        configured = [PluginConfiguration(name, {"key": name}) for name in names]
        return createVendors(configured, Clock(), self.directory)

    def problems(self, *names: str) -> str:
        """Why these plugins cannot be used."""
        with self.assertRaises(ConfigurationError) as caught:
            self.create(*names)
        return str(caught.exception)


class FindTests(PluginCase):
    """L{findPlugins}."""

    def test_none(self) -> None:
        """Without a name nothing is looked for: a broken dropin of somebody else's is no matter."""
        self.write("vendor_broken_a", text="raise ValueError")
        self.assertEqual(findPlugins([]), {})
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_found(self) -> None:
        """By name, in the order of the configuration."""
        self.write("vendor_found", 'one = Maker("one", Both)\ntwo = Maker("two", Both)')
        found = findPlugins(["two", "one"])
        self.assertEqual(
            [(name, plugin.name) for name, plugin in found.items()], [("two",) * 2, ("one",) * 2]
        )

    def test_unknown(self) -> None:
        """One that is not installed, with those that are."""
        self.write("vendor_known", 'one = Maker("one", Both)')
        text = self.problems("two")
        self.assertIn("plugin.two: there is no such plugin; installed: ", text)
        self.assertIn("one", text.partition("installed: ")[2])

    def test_importError(self) -> None:
        """A dropin that cannot be imported is named, with the reason."""
        self.write("vendor_broken_b", text="import no_such_module_b")
        text = self.problems("two")
        self.assertIn(
            "twisted/plugins/vendor_broken_b.py cannot be imported: ModuleNotFoundError: No module named",
            text,
        )
        self.assertEqual(len(self.flushLoggedErrors(ModuleNotFoundError)), 1)

    def test_syntaxError(self) -> None:
        """So is one that is no Python."""
        self.write("vendor_broken_c", text="def\n")
        self.assertIn(
            "twisted/plugins/vendor_broken_c.py cannot be imported: SyntaxError", self.problems("x")
        )
        self.assertEqual(len(self.flushLoggedErrors(SyntaxError)), 1)

    def test_noName(self) -> None:
        """A dropin that forgot its name is told of, and in the way of no other plugin."""
        self.write("vendor_nameless", 'one = Maker("one", Both)\nother = Maker(5, Both)\ndel other.name')
        self.write("vendor_number", "other = Maker(5, Both)")
        self.assertEqual(list(findPlugins(["one"])), ["one"])
        text = self.problems("two")
        for module in ("nameless", "number"):
            self.assertIn(f"one without a name in twisted.plugins.vendor_{module}", text)

    def test_sameName(self) -> None:
        """Two of one name, with the modules they come from."""
        self.write("vendor_twin_a", 'one = Maker("twin", Both)')
        self.write("vendor_twin_b", 'one = Maker("twin", Both)')
        self.assertEqual(
            self.problems("twin"),
            "plugin.twin: there are 2 of this name, in twisted.plugins.vendor_twin_a and"
            " twisted.plugins.vendor_twin_b",
        )

    def test_sameFile(self) -> None:
        """Two dropins of one file name, of which Twisted would silently take one; two equal ones are one."""
        self.write("vendor_file", 'one = Maker("one", Both)')
        other = self.directory / "other"
        other.mkdir()
        self.patch(dropins, "__path__", [*dropins.__path__, str(other)])
        copy = other / "vendor_file.py"
        copy.write_text(_DROPIN + 'one = Maker("one", Both)')
        self.assertEqual(list(findPlugins(["one"])), ["one"])
        copy.write_text(_DROPIN)
        self.assertIn("have one name; Twisted would take one of them", self.problems("one"))


class CreateTests(PluginCase):
    """L{createVendors}."""

    def test_made(self) -> None:
        """One object may be several things; it gets reactor, settings and directory."""
        self.write("vendor_made", 'one = Maker("one", Both)\nplan = Maker("plan", lambda *made: Plan())')
        vendors = self.create("one", "plan")
        policy = vendors.policies["one"]
        self.assertIs(policy, vendors.sinks["one"])
        _, settings, directory = policy.made  # type: ignore[attr-defined]
        self.assertEqual((settings, directory), ({"key": "one"}, self.directory))
        self.assertEqual((list(vendors.numbers), vendors.observers, vendors.services), (["plan"], {}, {}))

    def test_raises(self) -> None:
        """Every failure carries the name of its plugin."""
        self.write(
            "vendor_raises",
            """
            a = Maker("a", broken)
            b = Maker("b", refused)
            c = Maker("c", lambda *made: object())
            d = Maker("d", lambda *made: Half())
            e = Maker("e", lambda *made: Plan())
            f = Maker("f", lambda *made: Plan())
            g = Maker("g", lambda *made: __import__("json").loads("{"))
            h = Maker("h", lambda *made: __import__("sys").exit("no"))
            i = Maker("i", told)
            """,
        )
        where = r"\(plugins/vendor_raises\.py, line [0-9]+\)"
        self.assertRegex(self.problems("a"), rf"^plugin\.a: failed: RuntimeError: no disk {where}$")
        self.assertRegex(self.problems("h"), rf"^plugin\.h: failed: SystemExit: no {where}$")
        # What it called of Python is no place to look at.
        self.assertRegex(self.problems("g"), rf"^plugin\.g: failed: JSONDecodeError: .* {where}$")
        self.assertEqual(self.problems("b"), "plugin.b: settings.database: is missing")
        self.assertEqual(self.problems("i"), "plugin.i: settings: one text is one line")
        said = "plugin.c: create returned object, which provides none of ICallPolicy"
        self.assertIn(said, self.problems("c"))
        self.assertRegex(self.problems("d"), r"^plugin\.d: .*admit")
        self.assertEqual(self.problems("e", "f"), "plugin.f: e is a number plan already; there can be one")


class CheckTests(PluginCase):
    """L{checkSettings}, and the command that asks it."""

    def setUp(self) -> None:
        """Plugins of each kind; none may be made."""
        super().setUp()
        self.write(
            "vendor_checked",
            """
            from skypetrunk.interfaces import ICheckedPlugin

            @implementer(IPlugin, ICheckedPlugin)
            class Checked(Maker):
                def __init__(self, name, check):
                    super().__init__(name, broken)
                    self.check = check

            good = Checked("good", lambda settings, directory: None)
            picky = Checked("picky", refused)
            clumsy = Checked("clumsy", broken)
            odd = Checked("odd", None)
            silent = Maker("silent", broken)

            @implementer(IPlugin, IVendorPlugin)
            class Bare:
                name = "bare"

            bare = Bare()
            """,
        )

    def check(self, *names: str) -> list[str]:
        """The plugins of these that looked at their settings."""
        return list(checkSettings([PluginConfiguration(name) for name in names], self.directory))

    def test_looked(self) -> None:
        """Those that can look did, in their order; none was made."""
        self.assertEqual(self.check("silent", "good"), ["good"])
        self.assertEqual(self.check(), [])

    def test_problems(self) -> None:
        """Every problem of every plugin, with its name."""
        with self.assertRaises(ConfigurationError) as caught:
            self.check("picky", "good", "clumsy", "odd", "bare")
        first, second, third, fourth = caught.exception.problems
        self.assertEqual(first, "plugin.picky: settings.database: is missing")
        self.assertTrue(second.startswith("plugin.clumsy: failed: RuntimeError: no disk ("), second)
        self.assertRegex(third, r"^plugin\.odd: .*check")
        self.assertRegex(fourth, r"^plugin\.bare: .*create\(reactor, settings, directory\) attribute")

    def test_command(self) -> None:
        """C{skypetrunk check} says who has looked, and what is wrong."""
        files = ConfigurationTestCase()
        files.setUp()
        self.addCleanup(files.doCleanups)
        options = Options()
        good = ["plugin good: installed, and takes its settings", "plugin silent: installed"]
        for names, wanted in ((["good", "silent"], good), (["silent", "picky"], [])):
            text = COMPLETE + "".join(f'[[plugin]]\nname = "{name}"\n' for name in names)
            options["config"] = str(files.write("trunk.toml", text))
            said = StringIO()
            with redirect_stdout(said), redirect_stderr(StringIO()):
                if wanted:
                    self.assertEqual(main(options), 0)
                else:
                    self.assertRaises(ConfigurationError, main, options)
            lines = [line for line in said.getvalue().splitlines() if line.startswith("plugin ")]
            self.assertEqual(lines, wanted)


class ChosenTests(PluginCase):
    """L{checkChosen}."""

    def test_chosen(self) -> None:
        """A PBX's plugin is one; a plugin that is nothing else belongs to a PBX."""
        self.write("vendor_dialect", 'one = Maker("one", Both)\ntwo = Maker("two", lambda *made: Dialect())')
        vendors = self.create("one", "two")
        self.assertEqual((list(vendors.dialects), list(vendors.policies)), (["two"], ["one"]))
        checkChosen(vendors, {"office": "two", "annex": "two"}, {})
        with self.assertRaises(ConfigurationError) as caught:
            checkChosen(vendors, {"office": "one"}, {})
        self.assertEqual(
            caught.exception.problems,
            (
                "pbx.office.dialect: the plugin one provides no IPBXDialect",
                'plugin.two: no pbx uses it; would be right: dialect = "two" in one',
            ),
        )

    def test_inProcess(self) -> None:
        """The same for a PBX in this process."""
        self.write("vendor_pbx", 'one = Maker("one", Both)\ntwo = Maker("two", lambda *made: Exchange())')
        vendors = self.create("one", "two")
        self.assertEqual(list(vendors.pbxes), ["two"])
        checkChosen(vendors, {}, {"attendant": "two"})
        with self.assertRaises(ConfigurationError) as caught:
            checkChosen(vendors, {}, {"attendant": "one"})
        self.assertEqual(
            caught.exception.problems,
            (
                "pbx.attendant.plugin: the plugin one provides no IPBX",
                'plugin.two: no pbx uses it; would be right: plugin = "two" in one',
            ),
        )


class TableTests(ConfigurationTestCase):
    """C{[[plugin]]} in the configuration."""

    def test_read(self) -> None:
        """Names and settings, in order; the settings may be a password and are not shown."""
        text = '[[plugin]]\nname = "b"\nsettings = { x = 1 }\n[[plugin]]\nname = "a"\n'
        plugins = self.load(COMPLETE + text)[0].plugins
        self.assertEqual(plugins, (PluginConfiguration("b", {"x": 1}), PluginConfiguration("a")))
        self.assertNotIn("x", repr(plugins))

    def test_wrong(self) -> None:
        """No name, one name twice, settings that are no table, an unknown key."""
        for text, problem in (
            ("", 'plugin[1].name: is missing; would be right: name = "records"'),
            (
                'name = "a"\n[[plugin]]\nname = "a"',
                'plugin[2].name: "a" stands there twice; would be right: ',
            ),
            ('name = "a"\nsettings = 1', "plugin.a.settings: is a whole number; would be right: "),
            ('name = "a"\nx = 1', "plugin.a.x: is not known; would be right: name or settings"),
        ):
            (found,) = self.problems(f"{COMPLETE}[[plugin]]\n{text}\n")
            self.assertTrue(found.startswith(problem), found)

    def test_dialect(self) -> None:
        """A PBX names a plugin of the configuration."""
        plugin = '[[plugin]]\nname = "odd-headers"\n'
        pbx = 'address = "udp:127.0.0.1:5070"\n'
        text = COMPLETE.replace(pbx, f'{pbx}dialect = "odd-headers"\n')
        self.assertEqual(self.load(text + plugin)[0].pbxes[0].dialect, "odd-headers")
        self.assertIsNone(self.load(COMPLETE)[0].pbxes[0].dialect)
        (said,) = (line for line in summary(self.load(text + plugin)[0]) if line.startswith("pbx office: "))
        self.assertIn("; its dialect is the plugin odd-headers", said)
        self.assertEqual(
            self.problems(text),
            [
                'pbx.office.dialect: there is no plugin "odd-headers"; would be right: [[plugin]] with name ='
                ' "odd-headers" too'
            ],
        )
        self.assertEqual(
            self.problems(text.replace('dialect = "odd', 'dialect = "old') + plugin),
            ['pbx.office.dialect: there is no plugin "old-headers"; did you mean "odd-headers"?'],
        )
