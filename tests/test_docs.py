"""The documentation says what the program does: keys, commands, options, examples and links."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from twisted.python import usage
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import skypetrunk
from skypetrunk.errors import ConfigurationError
from skypetrunk.lab.tap import Options as LabOptions
from skypetrunk.profiles import loadProfile, profileNames, readProfile
from skypetrunk.service.tap import Options as TrunkOptions
from skypetrunk.tools import init, main
from tests.service.configurations import ConfigurationTestCase, keyPEM, makeCertificate, makeCRL

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = (*sorted(DOCS.glob("*.rst")), *sorted(ROOT.glob("*.rst")))

PASSWORDS = {"trunk.password_env", "trunk.password_credential", "trunk.password"}
"""Only one source of the password may stand in an example."""

INSTEAD = {"trunk.dns.domain", "trunk.dns.srv", "trunk.media.mikey_key_file"}
"""What C{trunk.targets} and C{keys = "sdes"} stand instead of."""

NOWHERE = "zzzzzzzz"
"""A key like no other: what is said about it lists all that are known."""


def blocks(page: Path, language: str) -> Iterator[str]:
    """The code blocks in C{language} of a page."""
    pattern = rf"^\.\. code-block:: {language}\n\n((?:(?:   .*)?\n)+)"
    for match in re.finditer(pattern, page.read_text("utf-8"), re.MULTILINE):
        yield "".join(line[3:] or "\n" for line in match[1].splitlines(keepends=True))


def described(text: str) -> set[str]:
    """The terms of definition lists: each key or option that has a paragraph of its own."""
    terms = re.findall(r"^(``.+``)\n    \S", text, re.MULTILINE)
    return {name for term in terms for name in re.findall(r"``([^`]+)``", term)}


def section(text: str, title: str) -> str:
    """What stands under a title, up to the next one."""
    parts = re.split(r"^(\S.*)\n(?:-{3,}|={3,})\n", text, flags=re.MULTILINE)
    return parts[parts.index(title) + 1]


def optionsOf(options: usage.Options) -> set[str]:
    """The long options of a command line."""
    names = {f"--{name.rstrip('=')}" for name in options.longOpt}
    return names - {"--help", "--version"}


class ConfigurationPageTests(ConfigurationTestCase):
    """docs/configuration.rst."""

    page = DOCS / "configuration.rst"

    def setUp(self) -> None:
        """Every file that an example names."""
        super().setUp()
        self.write("trunk.secret", "secret\n")
        self.write("office.secret", "secret\n")
        certificate, key = makeCertificate("client")
        self.write("client.pem", certificate)
        self.write("client.key", keyPEM(key, "pass"))
        self.write("client.pass", "pass\n")
        for kind in ("pem", "key", "pass"):
            self.write(f"trunk.{kind}", (self.directory / f"client.{kind}").read_bytes())
        self.write("pbx-ca.pem", self.roots)
        self.write("carrier.crl", makeCRL())

    def examples(self) -> list[str]:
        """Configurations, the longest last."""
        found = [text for text in blocks(self.page, "toml") if "[[trunk]]" in text]
        return sorted(found, key=len)

    def known(self, problems: list[str]) -> set[str]:
        """All keys that stand in what is said about L{NOWHERE}."""
        found: set[str] = set()
        for problem in problems:
            where, dot, rest = problem.rpartition(f"{NOWHERE}: is not known; would be right: ")
            self.assertTrue(dot, problem)
            # trunk.carrier.tls. -> trunk.tls.
            prefix = re.sub(r"^(trunk|pbx|plugin)\.[^.]+\.|^(route)\[\d\]\.", r"\1\2.", where)
            found.update(prefix + name for name in rest.split(" or "))
        return found

    def test_keys(self) -> None:
        """Each key of the program has its paragraph, and each paragraph its key."""
        text = re.sub(r"^(\[.+\])$", rf"\1\n{NOWHERE} = 1", self.examples()[-1], flags=re.MULTILINE)
        known = self.known(self.problems(f"{NOWHERE} = 1\n{text}"))
        tables = {"trunk", "pbx", "route", "media", "dscp", "dns", "numbers", "control", "plugin"}
        self.assertTrue(tables <= known)
        inside = {"trunk.dns", "trunk.tls", "trunk.inbound", "trunk.media", "trunk.limits"}
        inside |= {"pbx.limits", "pbx.tls"}
        keys = known - tables - inside
        page = self.page.read_text("utf-8")
        trunk, _, profile = page.partition("\nCarrier profiles\n")
        self.assertEqual(described(trunk), keys)
        (example,) = (text for text in blocks(self.page, "toml") if text.startswith("title"))
        with self.assertRaises(ConfigurationError) as caught:
            readProfile(self.write("own.toml", f"{NOWHERE} = 1\n{example}"))
        (problem,) = caught.exception.problems
        self.assertEqual(described(profile), self.known([problem.partition(": ")[2]]))

    def test_everyKeyHasAnExample(self) -> None:
        """The long example holds every key that can stand beside the others."""
        page = self.page.read_text("utf-8").partition("\nCarrier profiles\n")[0]
        names, table = set(), ""
        for line in self.examples()[-1].splitlines():
            if line.startswith("["):
                table = line.strip("[]")
            elif match := re.match(r"(\w+) = ", line):
                names.add(f"{table}.{match[1]}")
        self.assertEqual(names | PASSWORDS | INSTEAD, described(page))

    def test_examples(self) -> None:
        """The examples are right as they stand, and nothing in them calls for a warning."""
        self.assertGreaterEqual(len(self.examples()), 2)
        for text in self.examples():
            configuration, warnings = self.load(text)
            self.assertEqual(warnings, ())
            self.assertEqual(configuration.numbers.country, "GB")
        (profile,) = (text for text in blocks(self.page, "toml") if "[[trunk]]" not in text)
        self.assertEqual(readProfile(self.write("own.toml", profile)).calls, 30)

    def test_messages(self) -> None:
        """What the page shows as messages is what is said."""
        text = self.examples()[0]
        shown = re.findall(r"^    trunk\.toml: (.+)$", self.page.read_text("utf-8"), re.MULTILINE)
        wrong = text.replace('country = "GB"', 'country = "gb"').replace(
            'address = "udp:', 'adress = "x"\naddress = "udp:'
        )
        self.assertEqual(sorted(self.problems(wrong)), sorted(shown))


class ProfilesPageTests(SynchronousTestCase):
    """docs/profiles.rst, and the README beside the profiles."""

    def test_keys(self) -> None:
        """The README has a row for each key."""
        configuration = (DOCS / "configuration.rst").read_text("utf-8")
        readme = (ROOT / "skypetrunk/profiles/README.rst").read_text("utf-8")
        rows = set(re.findall(r"^``(\w+)``", readme, re.MULTILINE))
        self.assertEqual(rows, described(configuration.partition("\nCarrier profiles\n")[2]))

    def test_sets(self) -> None:
        """What the table says that a profile sets is what it sets, and nothing of it is left out."""
        page = (DOCS / "profiles.rst").read_text("utf-8")
        rows = dict(re.findall(r"^   \* - ``(\S+)``\n     - ((?:.+\n)(?:       .+\n)*)", page, re.MULTILINE))
        self.assertEqual(sorted(rows), sorted(profileNames()))
        numbers = {"as-dialled": "numbers as they are dialled", "00": "``00`` before numbers"}
        numbers |= {"plus": "numbers with plus", "bare": "numbers without plus"}
        for name, text in rows.items():
            row, profile = " ".join(text.split()), loadProfile(name)
            found = "NAPTR and SRV" if profile.naptr else "by SRV"
            says = {
                f"``{profile.domain}``": profile.domain is not None,
                "no registration": not profile.register,
                "registration": True,
                found: not profile.servers,
                "host names in their order": bool(profile.servers),
                "a certificate": profile.clientCertificate,
                "host name of ours in Contact and From": profile.ownName,
                "OPTIONS each minute": profile.optionsInterval == 60,
                "both suites": len(profile.suites) == 2,
                "the longer tag alone": profile.suites == ("AES_CM_128_HMAC_SHA1_80",),
                "From is the account": profile.fromUser == "account",
                "From is the caller": profile.fromUser == "caller",
                "called number in To": profile.calledFrom == "to",
                "``user=phone``": profile.userPhone,
                "wildcard certificates": profile.wildcards,
                "mediasec": profile.mediasec,
                "static RSA allowed": profile.staticRSA,
                f"{profile.calls} calls": profile.calls is not None,
                "sessions of 1800 seconds, at least 900": profile.leastExpires == 900,
                "after 408, 480, 503 and 504": profile.failover == (408, 480, 504),
                f"``{str(profile.uriParameters).lstrip(';')}``": bool(str(profile.uriParameters)),
                **{words: form == profile.numberForm for form, words in numbers.items()},
            }
            self.assertEqual({words: words in row for words in says}, says, name)
            others = {1800: profile.sessionExpires, 90: min(profile.leastExpires, 90), 3600: profile.expires}
            self.assertEqual(list(others), list(others.values()), name)


class CommandTests(SynchronousTestCase):
    """docs/commands.rst, and the commands of other pages."""

    def test_commands(self) -> None:
        """Every command has a section, and its options, and no others, stand there."""
        page = (DOCS / "commands.rst").read_text("utf-8")
        commands = [name for name, _, _, _ in main.Options.subCommands]
        titles = re.findall(r"^skypetrunk (\S+)\n---", page, re.MULTILINE)
        self.assertEqual(sorted(titles), sorted(commands))
        for command in commands:
            options = TrunkOptions() if command == "run" else main._options(command)
            written = {name for name in described(section(page, f"skypetrunk {command}")) if "--" in name}
            self.assertEqual(written, optionsOf(options), command)
        written = described(section(page, "twistd skypetrunk-lab"))
        self.assertEqual(written, optionsOf(LabOptions()))

    def test_init(self) -> None:
        """The "skypetrunk init" of each page writes a configuration."""
        lines = [
            line.removeprefix("$ skypetrunk ")
            for page in PAGES
            for text in blocks(page, "console")
            for line in text.splitlines()
            if line.startswith("$ skypetrunk init")
        ]
        self.assertEqual(len(lines), 3)
        directory = Path(tempfile.mkdtemp(prefix="skypetrunk-"))
        self.addCleanup(shutil.rmtree, directory)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        certificate, key = makeCertificate("sbc.example.com")
        Path("sbc.pem").write_bytes(certificate)
        Path("sbc.key").write_bytes(keyPEM(key))
        Path("roots.pem").write_bytes(makeCertificate("Root")[0])
        self.patch(init, "systemBundle", lambda: str(directory / "roots.pem"))
        self.patch(sys, "stdout", io.StringIO())
        for number, line in enumerate(lines):
            output = directory / f"{number}.toml"
            self.patch(sys, "stdin", io.StringIO("secret\n"))
            self.assertEqual(main.run([*shlex.split(line), "--output", str(output)]), 0)
            self.assertIn("udp:192.0.2.5:50", output.read_text("utf-8"))


OTHERS = """
from group_numbers import GroupNumbers
from meters import Meters
from music import MusicOnHold
from skypetrunk.testing import DialectConformance, PBXConformance, TapsConformance
from twisted.trial.unittest import SynchronousTestCase


class OtherTests(DialectConformance, PBXConformance, TapsConformance, SynchronousTestCase):
    def makeDialect(self):
        return GroupNumbers()

    def makePBX(self):
        return MusicOnHold({codec: [bytes(160)] * 3 for codec in ("PCMA", "PCMU")})

    def makeTaps(self):
        return Meters()
"""
"""Tests of the classes that the page for vendors shows beside its plugin."""


class PageTests(SynchronousTestCase):
    """All pages."""

    def test_readme(self) -> None:
        """The two commands of the README are targets of the Makefile; its first screen has what it must."""
        readme = (ROOT / "README.rst").read_text("utf-8")
        commands = re.findall(r"^    make (\w+)", readme, re.MULTILINE)
        self.assertEqual(commands, ["demo", "test"])
        makefile = (ROOT / "Makefile").read_text("utf-8")
        for command in commands:
            self.assertRegex(makefile, rf"(?m)^{command}:")
        first = readme.partition("\nWhat is done\n")[0]
        self.assertLess(len(first.splitlines()), 50)
        self.assertIn("no replacement for emergency lines", first)

    def test_standards(self) -> None:
        """What the README says about an RFC, the table of all of them has in detail."""
        readme = section((ROOT / "README.rst").read_text("utf-8"), "What is done")
        table = (DOCS / "rfc.rst").read_text("utf-8")
        named = set(re.findall(r"\b\d{4}\b", readme))
        self.assertGreater(len(named), 20)
        self.assertEqual({number for number in named if number not in table}, set())

    def test_links(self) -> None:
        """Links within the documentation lead to pages that are there, and every page is in the contents."""
        for page in PAGES:
            text = page.read_text("utf-8")
            for target in re.findall(r"`[^`<]*<([^`>:]+)>`_", text):
                self.assertTrue((ROOT / target).is_file(), f"{page.name}: {target}")
            for target in re.findall(r":doc:`(?:[^`<]*<)?([^`<>]+)>?`", text):
                self.assertTrue((DOCS / f"{target}.rst").is_file(), f"{page.name}: {target}")
        contents: set[str] = set()
        for page in DOCS.glob("*.rst"):
            for match in re.finditer(
                r"^\.\. toctree::\n(?:   :.*\n)*\n((?:   .+\n)+)", page.read_text("utf-8"), re.MULTILINE
            ):
                contents.update(match[1].split())
        self.assertEqual(contents | {"index"}, {page.stem for page in DOCS.glob("*.rst")})

    def test_vendors(self) -> None:
        """The files from an empty folder are a plugin and pass their test; the others pass what they must."""
        page = DOCS / "vendors.rst"
        dropin, package, dialect, pbx, tap, test = blocks(page, "python")
        build, named, *_ = blocks(page, "toml")
        files = {
            "twisted/plugins/night_watch_plugin.py": dropin,
            "night_watch/__init__.py": package,
            "tests/test_night_watch.py": test,
        }
        others = {
            "group_numbers.py": dialect,
            "music.py": pbx,
            "meters.py": tap,
            "tests/test_others.py": OTHERS,
            "tests/__init__.py": "",
            "named.toml": named,
        }
        text = page.read_text("utf-8")
        for name in files:
            self.assertIn(f"``{name}``", text)
        root = Path(tempfile.mkdtemp(prefix="skypetrunk-"))
        self.addCleanup(shutil.rmtree, root)
        for name, content in {**files, **others}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        self.assertIn("build-backend", build)
        made = (
            "import pathlib, tomllib; from twisted.internet.task import Clock;"
            "from skypetrunk.service.plugin_table import PluginConfiguration;"
            "from skypetrunk.service.plugins import createVendors;"
            "[named] = tomllib.loads(pathlib.Path('named.toml').read_text())['plugin'];"
            "made = createVendors([PluginConfiguration(**named)], Clock(), pathlib.Path());"
            "print(*made.policies)"
        )
        place = os.pathsep.join([str(root), str(Path(skypetrunk.__file__).parents[1])])
        tested = ["-m", "twisted.trial", "tests"]
        for arguments, wanted in ((["-c", made], "night-watch\n"), (tested, "PASSED")):
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=root,
                env={**os.environ, "PYTHONPATH": place},
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(wanted, done.stdout)

    def test_machines(self) -> None:
        """The page on state machines is made of the machines: all of them, with what they do."""
        source = importlib.util.spec_from_file_location("machines", DOCS / "machines.py")
        assert source is not None and source.loader is not None
        machines = importlib.util.module_from_spec(source)
        source.loader.exec_module(machines)
        core = ROOT / "skypetrunk" / "core"
        built = sum(path.read_text("utf-8").count("TypeMachineBuilder(") for path in core.glob("*.py"))
        self.assertEqual(len(machines.machines()), built)
        leg = machines.machines()[-1]
        self.assertEqual(leg.initial, "setup")
        self.assertIn(("confirmed", "hangUp", "leaving", "sendBye"), leg.transitions)
        self.assertIn(
            "   * - confirmed\n     - hangUp\n     - leaving\n     - sendBye", "\n".join(machines.tables())
        )
        self.assertIn('  "confirmed" -> "leaving" [label="hangUp"];', list(machines.graphs()))

    def test_sphinx(self) -> None:
        """Sphinx has nothing to complain about."""
        if importlib.util.find_spec("sphinx") is None:
            raise SkipTest("Sphinx is not installed")
        output = tempfile.mkdtemp(prefix="skypetrunk-docs-")
        self.addCleanup(shutil.rmtree, output)
        command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", str(DOCS), output]
        built = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual((built.returncode, built.stderr), (0, ""), built.stdout)
