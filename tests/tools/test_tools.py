"""The C{skypetrunk} command: what it prints, what it writes, and its exit status."""

from __future__ import annotations

import builtins
import io
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

import skypetrunk
from skypetrunk import __version__
from skypetrunk.profiles import profileNames
from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.service.control import ControlRefused, ControlServer, IControlled
from skypetrunk.tools import init, run
from skypetrunk.tools import main as command
from skypetrunk.tools.status import summary
from tests.service.configurations import MARKER, SHORT, keyPEM, makeCertificate


class _Terminal(io.StringIO):
    """Standard input or output that is a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class ToolTestCase(SynchronousTestCase):
    """
    Runs the command in a directory of its own.

    @ivar directory: where it runs.
    """

    def setUp(self) -> None:
        """Make the directory and go there."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)

    def run_(self, *arguments: str, stdin: str = "") -> tuple[int | str | None, str, str]:
        """
        Run C{skypetrunk arguments}.

        @return: exit status, standard output and standard error.
        """
        out, err = io.StringIO(), io.StringIO()
        for name, stream in (("stdout", out), ("stderr", err), ("stdin", io.StringIO(stdin))):
            self.patch(sys, name, stream)
        status: int | str | None
        try:
            status = command.run(arguments)
        except SystemExit as caught:
            status = caught.code
        self.assertNotIn(MARKER, out.getvalue() + err.getvalue())
        return status, out.getvalue(), err.getvalue()


class CommandTests(ToolTestCase):
    """The command line before the subcommand."""

    def test_help(self) -> None:
        """C{--help} names every command; each command's own names every option, and exits with 0."""
        status, out, err = self.run_("--help")
        self.assertEqual((status, err), (0, ""))
        for name in ("run", "demo", "init", "check"):
            self.assertIn(f"\n    {name} ", out)
        for name, options in (
            ("init", ("--profile=", "--username=", "--password-file=", "--output=", "--force", "--target=")),
            ("check", ("--config=",)),
            ("run", ("--config=",)),
        ):
            status, out, err = self.run_(name, "--help")
            self.assertEqual((status, err), (0, ""))
            self.assertTrue(out.startswith(f"Usage: skypetrunk {name} [options]"), out)
            for option in options:
                self.assertIn(option, out)
            self.assertEqual(self.run_(name, "-h"), (0, out, ""))

    def test_narrow(self) -> None:
        """The help can be read in every terminal, and where nobody knows how wide it is."""
        texts = []
        for columns in ("0", "-1", "x", "", "80", "1"):
            self.patch(os, "environ", {**os.environ, "COLUMNS": columns})
            status, out, err = self.run_("init", "--help")
            self.assertEqual((status, err), (0, ""))
            texts.append(out)
        self.assertEqual(len(set(texts[:5])), 1)
        self.assertIn("--password-file", texts[5])

    def test_version(self) -> None:
        """The version is ours, also behind a command."""
        for arguments in (("--version",), ("init", "--version"), ("run", "--version")):
            self.assertEqual(self.run_(*arguments), (0, f"skypetrunk {__version__}\n", ""))

    def test_mistakes(self) -> None:
        """A mistake is one line, and 2."""
        listed = "--help lists what there is"
        printed = "at most 255 characters that can be printed"
        for arguments, line in (
            (("chek",), f"skypetrunk: Unknown command: chek; {listed}\n"),
            (("check", "--confg=x"), f"skypetrunk: option --confg not recognized; {listed}\n"),
            (("check", "a", "b"), "skypetrunk: one file at a time\n"),
            (("run", "--confg=x"), f"skypetrunk: option --confg not recognized; {listed}\n"),
            (("run", "trunk.toml"), "skypetrunk: trunk.toml: would be right: --config trunk.toml\n"),
            (("status", "x.toml"), "skypetrunk: x.toml: would be right: --config x.toml\n"),
            (("demo", "x"), "skypetrunk: x: would be right: options only; --help lists them\n"),
            (("lab-call", "--seconds=x"), "skypetrunk: --seconds: x is no number\n"),
            (("lab-call", "--to=\udcfc"), f"skypetrunk: --to: wanted {printed}\n"),
            (("lab-call", f"--from={'1' * 256}"), f"skypetrunk: --from: wanted {printed}\n"),
            (("lab-call", "--seconds=-1"), "skypetrunk: --seconds: wanted 0 or more\n"),
            (("lab-call", "--seconds=inf"), "skypetrunk: --seconds: wanted 0 or more\n"),
        ):
            self.assertEqual(self.run_(*arguments), (2, "", line))
        status, out, err = self.run_()
        self.assertEqual((status, out), (2, ""))
        self.assertTrue(err.startswith("skypetrunk: which command? One of run, demo, init, check"), err)
        self.assertEqual(err.count("\n"), 1)

    def test_console(self) -> None:
        """The console script takes its arguments from the process and exits with the status."""
        self.patch(sys, "argv", ["skypetrunk", "check", "none.toml"])
        self.patch(sys, "stderr", io.StringIO())
        with self.assertRaises(SystemExit) as caught:
            command.main()
        self.assertEqual(caught.exception.code, 2)

    def test_fullDisk(self) -> None:
        """Output that cannot be written is one line without a traceback, and no fault of what was read."""
        Path("message").write_bytes(b"SIP/2.0 200 OK\r\n\r\n")
        Path("trunk.toml").write_text(SHORT)
        Path("skype.secret").write_text(MARKER)
        root = Path(skypetrunk.__file__).parent.parent
        for arguments in (("check",), ("firewall",), ("inspect", "message"), ("--help",)):
            # Buffered, the disk is full only when the command is over.
            for unbuffered in ("", "1"):
                with open("/dev/full", "w", encoding="utf-8") as full:
                    done = subprocess.run(
                        [sys.executable, "-m", "skypetrunk.tools.main", *arguments],
                        stdout=full,
                        stderr=subprocess.PIPE,
                        env={**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": unbuffered},
                        text=True,
                        timeout=60,
                    )
                lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
                self.assertEqual((done.returncode, lines), (1, ["skypetrunk: No space left on device"]))


class RunTests(ToolTestCase):
    """C{skypetrunk run}."""

    def test_arguments(self) -> None:
        """The trunk's own options reach it as they are."""
        options = command.Options()
        options.parseOptions(["run", "--config", "office.toml", "--debug"])
        assert isinstance(options.subOptions, run.Options)
        self.assertEqual(options.subOptions.arguments, ["--config", "office.toml", "--debug"])

    def test_asTwistd(self) -> None:
        """It ends as twistd does: a mistake in the configuration is one line, and 2."""
        root = Path(skypetrunk.__file__).parent.parent
        done = subprocess.run(
            [sys.executable, "-m", "skypetrunk.tools.main", "run", "--config", "none.toml"],
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        advice = "skypetrunk init writes one, --config names another"
        line = f"none.toml: cannot be read: No such file or directory; {advice}\n"
        self.assertEqual((done.returncode, done.stderr), (2, line))
        self.assertEqual(os.listdir(), [])


class CheckTests(ToolTestCase):
    """C{skypetrunk check}."""

    def setUp(self) -> None:
        """Write a good configuration."""
        super().setUp()
        Path("skype.secret").write_text(MARKER)
        Path("skype.secret").chmod(0o600)
        Path("trunk.toml").write_text(SHORT)

    def test_good(self) -> None:
        """A summary, and 0; the file is C{trunk.toml} unless named in one of two ways."""
        expected = (
            "trunk carrier: alice at sip.carrier.example, profile generic; registers; found by DNS; "
            "the system's "
            "roots; revocation soft; SRTP required (AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32)\n"
            "pbx office: listens on udp:192.0.2.1:5060; calls go to udp:192.0.2.5:5060; calls may come from "
            "192.0.2.5/32\n"
            "route: from office to carrier\n"
            "route: from carrier to office\n"
            "media: 192.0.2.1, ports 20000-29999\n"
            "dns: the servers of the system\n"
            "numbers: DE; its emergency numbers never go to a trunk\n"
            "emergency: 110, 112; all 76 written forms are kept from the trunks\n"
            "trunk.toml: good\n"
        )
        other = SHORT.replace("[[pbx]]", '[trunk.dns]\ndomain = "edge.example"\n[[pbx]]', 1)
        Path("other.toml").write_text(other)
        self.assertIn("; found by DNS (edge.example); ", self.run_("check", "other.toml")[1])
        for arguments in ((), ("trunk.toml",), ("--config", "trunk.toml"), ("-c", "trunk.toml")):
            self.assertEqual(self.run_("check", *arguments), (0, expected, ""))

    def test_clearMedia(self) -> None:
        """Less than SRTP stands in the summary, and in a warning."""
        for mode, text in (("opportunistic", "SRTP opportunistic (AES_CM_128"), ("off", "SRTP off\n")):
            media = f'[trunk.media]\nsrtp = "{mode}"\n[[pbx]]'
            Path("trunk.toml").write_text(SHORT.replace("[[pbx]]", media))
            status, told, warned = self.run_("check")
            self.assertEqual(status, 0)
            self.assertIn(f"; {text}", told)
            self.assertIn(f"trunk.carrier.media.srtp: is {mode}: calls", warned)

    def test_t38(self) -> None:
        """So does fax in clear."""
        Path("trunk.toml").write_text(SHORT.replace("[[pbx]]", '[trunk.media]\nt38 = "pass"\n[[pbx]]'))
        status, told, warned = self.run_("check")
        self.assertEqual(status, 0)
        self.assertIn("; T.38 in clear\n", told)
        self.assertIn("trunk.carrier.media.t38: is pass", warned)

    def test_everything(self) -> None:
        """What a fuller configuration adds to the summary."""
        Path("ca.pem").write_bytes(makeCertificate("Root")[0])
        more = 'targets = ["192.0.2.10"]\n[trunk.tls]\nca_file = "ca.pem"\n[trunk.limits]\ncalls = 5\n[[pbx]]'
        text = SHORT.replace("[[pbx]]", more).replace('"DE"', '"DE"\noutside_line = "0"\nemergency = ["117"]')
        # Trial's own directory may be too deep for a socket.
        shallow = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, shallow)
        text += f'[control]\nsocket = "{shallow}/s"\n[dns]\nservers = ["192.0.2.53"]\n'
        text += '[[route]]\nfrom = "office"\nto = ["carrier"]\ncalled = ["+44", "+49"]\n'
        Path("trunk.toml").write_text(text.replace("[media]", '[media]\nadvertise = "203.0.113.7"'))
        status, out, err = self.run_("check")
        self.assertEqual(status, 0)
        for part in (
            "; at 192.0.2.10 port 5061; roots in ",
            "; at most 5 calls",
            "route: from office to carrier, called +44, +49",
            " (shown to carriers as 203.0.113.7), ports",
            "dns: 192.0.2.53 port 53",
            "numbers: DE, outside line 0; its emergency numbers, and 117 never go to a trunk",
            "emergency: 110, 112, 117; all 220 written forms are kept from the trunks",
            "control: ",
        ):
            self.assertIn(part, out)
        self.assertEqual(
            err,
            "warning: trunk.toml: trunk.carrier: no route leads from here: its calls are refused\n"
            "warning: trunk.toml: pbx.office: no route leads here: it gets no calls\n",
        )

    def test_problems(self) -> None:
        """One line each, and 2."""
        Path("trunk.toml").write_text(SHORT.replace("username", "user").replace('"DE"', '"de"'))
        self.assertEqual(
            self.run_("check"),
            (
                2,
                "",
                'trunk.toml: trunk.carrier.username: is missing; would be right: username = "account"\n'
                'trunk.toml: numbers.country: "de" is no country; did you mean "DE"?\n'
                'trunk.toml: trunk.carrier.user: is not known; did you mean "username"?\n',
            ),
        )


@implementer(IControlled)
class _Trunk:
    """Tells what the test wants."""

    def __init__(self, state: Mapping[str, object]) -> None:
        self._state = state

    def status(self) -> Mapping[str, object]:
        """The state."""
        return self._state

    def placeCall(self, number: str, caller: str) -> NoReturn:
        """Never."""
        raise ControlRefused("no calls")

    def hangUp(self, call: str) -> None:
        """Never."""
        raise ControlRefused("no calls")


class StatusTests(TestCase):
    """C{skypetrunk status}, in lines for people."""

    def test_workers(self) -> None:
        """Media workers that were started: how they are."""
        workers = [
            {"process": 4711, "ready": True, "legs": 6, "starts": 1},
            {"process": None, "ready": False, "legs": 0, "starts": 3},
            {"process": None, "ready": False, "legs": 0, "starts": 0},
        ]
        self.assertEqual(
            [line for line in summary({"mediaWorkers": workers}) if "worker" in line],
            ["media worker 1: process 4711, 6 call legs", "media worker 2: not running, started 3 times"],
        )

    async def test_stranger(self) -> None:
        """What a peer calls itself orders no terminal, and can be shown in every encoding."""
        from twisted.internet import reactor

        names = {"call": "c1", "from": "office", "answered": False, "age": 2.0}
        state = {"trunks": {}, "up": [names | {"called": "5\x1b[2J\udcff\u00e9"}]}
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        path = Path(directory) / "control"
        control = ControlServer(reactor, path, _Trunk(state))  # type: ignore[arg-type]
        control.startService()
        self.addCleanup(control.stopService)
        root = Path(skypetrunk.__file__).parent.parent
        for encoding, e in (("ascii", "\\xe9"), ("utf-8", "\u00e9")):
            environ = {**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": encoding}
            words = ["-m", "skypetrunk.tools.main", "status", "--socket", str(path)]
            out, err, status = await getProcessOutputAndValue(sys.executable, words, environ)
            self.assertEqual((err, status), (b"", 0))
            wanted = f"  c1: office to 5\\x1b[2J\\xff{e}, ringing, 2 s"
            self.assertEqual(out.decode(encoding).splitlines()[-1], wanted)

    def test_media(self) -> None:
        """While there are media ports, what relays."""
        self.assertNotIn("media", "".join(summary({"mediaPorts": 0, "mediaHelper": True})))
        for helped, by in ((True, "the compiled helper"), (False, "Python alone")):
            lines = list(summary({"mediaPorts": 8, "mediaHelper": helped}))
            self.assertIn(f"media: 8 ports, relayed by {by}", lines)


class InitTests(ToolTestCase):
    """C{skypetrunk init}."""

    arguments: tuple[str, ...] = (
        "init",
        "--domain",
        "sip.carrier.example",
        "-u",
        "alice",
        "--pbx",
        "127.0.0.1:5070",
        "--country",
        "gb",
    )

    def load(self, name: str = "trunk.toml") -> Configuration:
        """The configuration that was written."""
        return loadConfiguration(Path(name), {"TRUNK_PASSWORD": MARKER})[0]

    def test_options(self) -> None:
        """All from options, the password from standard input: it is stored where only we can read it."""
        status, out, _ = self.run_(*self.arguments, "--password-file", "-", stdin=f"{MARKER}\n")
        self.assertEqual(
            (status, out),
            (
                0,
                "Wrote trunk.toml and trunk.secret.\n"
                "Next: skypetrunk check trunk.toml, then skypetrunk run --config trunk.toml\n",
            ),
        )
        self.assertEqual(stat.S_IMODE(os.stat("trunk.secret").st_mode), 0o600)
        self.assertNotIn(MARKER, Path("trunk.toml").read_text())
        configuration = self.load()
        (trunk,), (pbx,) = configuration.trunks, configuration.pbxes
        assert trunk.password is not None
        self.assertEqual(trunk.password.reveal(), MARKER)
        self.assertEqual(
            (trunk.name, trunk.domain, trunk.username), ("carrier", "sip.carrier.example", "alice")
        )
        self.assertEqual(str(pbx.address), "udp:127.0.0.1:5070")
        self.assertEqual([str(address) for address in pbx.listen], ["udp:127.0.0.1:5060"])
        self.assertEqual(configuration.media.address, "127.0.0.1")
        self.assertEqual(configuration.numbers.country, "GB")
        self.assertEqual(self.run_("check")[0], 0)
        self.assertEqual(sorted(os.listdir()), ["trunk.secret", "trunk.toml"])

    def test_everyOption(self) -> None:
        """Each option finds its place in the file; paths are written as seen from it."""
        Path("ca.pem").write_bytes(makeCertificate("Root")[0])
        Path("etc").mkdir()
        status, _, err = self.run_(
            *"init -p skype-connect --name main -u 99051000000001 --password-env TRUNK_PASSWORD".split(),
            *"--ca-file ca.pem --target 127.0.0.1:5061 --target [::1]:5061 --dns 127.0.0.1:5353".split(),
            *"--pbx tcp:[::1]:5070 --listen tcp:[::1]:5062 --allow ::/64 --allow fe80::/10".split(),
            *"--media-address 127.0.0.2 --advertise 203.0.113.7 --country DE --outside-line 0".split(),
            *"-o etc/main.toml".split(),
        )
        self.assertEqual((status, err), (0, ""))
        configuration = self.load("etc/main.toml")
        (trunk,), (pbx,) = configuration.trunks, configuration.pbxes
        self.assertEqual(
            (trunk.name, trunk.profile.name, trunk.domain), ("main", "skype-connect", "sip.skype.com")
        )
        self.assertEqual(trunk.targets, (("127.0.0.1", 5061), ("::1", 5061)))
        assert trunk.tls.caFile is not None
        self.assertTrue(trunk.tls.caFile.samefile("ca.pem"))
        self.assertEqual([str(address) for address in pbx.listen], ["tcp:[::1]:5062"])
        self.assertEqual([str(network) for network in pbx.allow], ["::/64", "fe80::/10"])
        self.assertEqual(
            (configuration.media.address, configuration.media.advertise), ("127.0.0.2", "203.0.113.7")
        )
        self.assertEqual(configuration.dns.servers, (("127.0.0.1", 5353),))
        self.assertEqual((configuration.numbers.country, configuration.numbers.outsideLine), ("DE", "0"))
        self.assertEqual(os.listdir("etc"), ["main.toml"])

    def test_commentedKeys(self) -> None:
        """Every key that stands in a comment is one that the check knows: with all of them the file "
        "is read."""
        self.assertEqual(self.run_(*self.arguments, "--password-env", "TRUNK_PASSWORD")[0], 0)
        lines = Path("trunk.toml").read_text().splitlines()
        keys = [
            line for line in lines if line.startswith("# ") and " = " in line and "skypetrunk" not in line
        ]
        self.assertGreater(len(keys), 12)
        certificate, key = makeCertificate("Root")
        Path("carrier-ca.pem").write_bytes(certificate)
        Path("office.secret").write_text("secret")
        Path("trunk.pem").write_bytes(certificate)
        Path("trunk.key").write_bytes(keyPEM(key, "pass"))
        Path("trunk.pass").write_text("pass")
        text = "\n".join(
            line.removeprefix("# ") if line in keys or line[2:3] == "[" else line for line in lines
        )
        for old, new in (
            ('["sha256/BASE64"]', f'["sha256/{"A" * 43}="]'),
            ('certificate = "client.pem"', ""),
            ('crl_file = "carrier.crl"', ""),
            ('key = "client.key"', ""),
            ('key_password_file = "client.pass"', ""),
        ):
            self.assertIn(old, text)
            text = text.replace(old, new)
        Path("trunk.toml").write_text(text)
        configuration = self.load()
        self.assertEqual(len(configuration.routes), 1)
        self.assertEqual(configuration.numbers.emergency, ("117",))

    def test_existing(self) -> None:
        """Files that exist stay, unless told otherwise."""
        Path("trunk.toml").write_text("mine")
        self.assertEqual(
            self.run_(*self.arguments, "--password-file", "-", stdin="new\n"),
            (2, "", "skypetrunk: trunk.toml exists; --force replaces it\n"),
        )
        self.assertEqual(Path("trunk.toml").read_text(), "mine")
        Path("trunk.toml").unlink()
        Path("trunk.secret").write_text(MARKER)
        self.assertEqual(
            self.run_(*self.arguments, "--password-file", "-", stdin="new\n"),
            (2, "", "skypetrunk: trunk.secret exists; --force replaces it\n"),
        )
        self.assertEqual(self.run_(*self.arguments, "--password-file", "-", "--force", stdin="new\n")[0], 0)
        self.assertEqual(Path("trunk.secret").read_text(), "new\n")
        self.assertEqual(stat.S_IMODE(os.stat("trunk.secret").st_mode), 0o600)

    def test_noFile(self) -> None:
        """What is no file of its own, as a device or a link to one, is left as it is, with --force too."""
        os.mkfifo("pipe")
        os.symlink("pipe", "link")
        os.symlink("nothing", "dangling")
        Path("file").write_text("mine")
        os.symlink("file", "trunk.secret")
        for name in ("pipe", "link", ".", "", "dangling"):
            given = (*self.arguments, "--password-env", "TRUNK_PASSWORD", "-o", name)
            told = f"skypetrunk: {name or '.'} exists; --force replaces it\n"
            self.assertEqual(self.run_(*given), (2, "", told))
            told = f"skypetrunk: {name or '.'} is no file, but something else, which is not replaced\n"
            self.assertEqual(self.run_(*given, "--force"), (2, "", told))
        told = "skypetrunk: trunk.secret is no file, but something else, which is not replaced\n"
        given = (*self.arguments, "--password-file", "-", "--force")
        self.assertEqual(self.run_(*given, stdin="new\n"), (2, "", told))
        left = {"pipe", "link", "dangling", "file", "trunk.secret"}
        self.assertEqual((set(os.listdir(".")), Path("file").read_text()), (left, "mine"))
        self.assertTrue(stat.S_ISFIFO(os.lstat("pipe").st_mode))

    def test_noText(self) -> None:
        """What was typed in another encoding than the terminal's is one line, and nothing is written."""
        told = "skypetrunk: an answer is no text in this terminal's encoding, nothing is written\n"
        given = (*self.arguments, "--password-file", "-")
        self.assertEqual(self.run_(*given, "--name", "a\udcff", stdin="x\n"), (2, "", told))
        self.assertEqual(self.run_(*given, stdin="x\udcff\n"), (2, "", told))
        self.assertEqual(os.listdir("."), [])

    def test_unwritable(self) -> None:
        """Where nothing can be written one line says so, and nothing is left."""
        self.assertEqual(
            # Nobody can make a file there, root neither.
            self.run_(*self.arguments, "--password-env", "TRUNK_PASSWORD", "-o", "/proc/self/trunk.toml"),
            (2, "", "skypetrunk: /proc/self/trunk.toml cannot be written: No such file or directory\n"),
        )

    def test_missing(self) -> None:
        """Where nobody can be asked, all that is missing is told at once."""
        self.assertEqual(
            self.run_("init"),
            (
                2,
                "",
                "skypetrunk: missing: --domain, --username, --password-file (or --password-env, "
                "--password-credential), --pbx, --country\n",
            ),
        )

    def test_problems(self) -> None:
        """What makes no good configuration is told as the check tells it, and nothing is written."""
        for more, expected in (
            (("--country", "XX"), 'trunk.toml: numbers.country: "XX" is no country; '),
            (("--pbx", "tls:127.0.0.1:5061"), "trunk.toml: pbx.pbx.tls.certificate: is missing; "),
            (("--password-file", "none"), "none cannot be read: No such file or directory; "),
            (("--ca-file", "none"), "none cannot be read: No such file or directory; "),
        ):
            given: tuple[str, ...] = (*self.arguments, *more)
            if "--password-file" not in more:
                given = (*given, "--password-file", "-")
            status, out, err = self.run_(*given, stdin=f"{MARKER}\n")
            self.assertEqual((status, out), (2, ""))
            self.assertIn(expected, err)
            self.assertEqual(os.listdir(), [])
        lines: tuple[tuple[tuple[str, ...], str], ...] = (
            (("-o", "none/trunk.toml"), f"skypetrunk: there is no directory {self.directory / 'none'}\n"),
            (
                ("--password-env", "A", "--password-file", "b"),
                "skypetrunk: --password-env stands beside --password-file; one of them is enough\n",
            ),
            (("--pbx", "pbx"), 'skypetrunk: --pbx "pbx" is no address; would be right: udp:192.0.2.5:5060\n'),
            (("-p", "skype-conect"), 'profile: there is no "skype-conect"; did you mean "skype-connect"?\n'),
        )
        for args, line in lines:
            self.assertEqual(self.run_(*self.arguments, *args), (2, "", line))

    def test_noAnswer(self) -> None:
        """Whoever closes standard input (Ctrl-D) at a question gets one line, and nothing is written."""

        def answer(question: str) -> str:
            raise EOFError

        self.patch(builtins, "input", answer)
        err = io.StringIO()
        for name, stream in (("stdin", _Terminal()), ("stdout", _Terminal()), ("stderr", err)):
            self.patch(sys, name, stream)
        self.assertEqual(command.run(["init"]), 2)
        self.assertEqual(err.getvalue(), "\nskypetrunk: no answer was given, nothing is written\n")
        self.assertEqual(os.listdir(), [])

    def test_askedAgain(self) -> None:
        """An answer that cannot be right is asked for again, and nothing that was typed before is lost."""
        answers = iter(
            ["nope", "generic", "sip:carrier", "sip.carrier.example", "alice", "pbx", "127.0.0.1:5070"]
            + ["udp:trunk:5060", "127.0.0.1:5062", "xx", "gb"]
        )
        self.patch(builtins, "input", lambda question: next(answers))
        self.patch(init, "getpass", lambda question: MARKER)
        out = _Terminal()
        for name, stream in (("stdin", _Terminal()), ("stdout", out), ("stderr", io.StringIO())):
            self.patch(sys, name, stream)
        self.assertEqual(command.run(["init"]), 0)
        problems = [line for line in out.getvalue().splitlines() if "would be right" in line]
        self.assertEqual(
            [line.partition("; would")[0] for line in problems],
            [
                'profile: there is no "nope"',
                '"sip:carrier" is no domain name',
                '"pbx" is no address',
                '"udp:trunk:5060" is no address',
                '"xx" is no country',
            ],
        )
        configuration = self.load()
        self.assertEqual(str(configuration.pbxes[0].listen[0]), "udp:127.0.0.1:5062")
        self.assertEqual(configuration.numbers.country, "GB")

    def test_questions(self) -> None:
        """On a terminal it asks for what is missing, and takes a default for an empty answer."""
        asked: list[str] = []
        answers = iter(["generic", "", "sip.carrier.example", "alice", "127.0.0.1", "", "de"])
        passwords = iter(["one", "other", MARKER, MARKER])

        def answer(question: str) -> str:
            asked.append(question)
            return next(answers)

        self.patch(builtins, "input", answer)
        self.patch(init, "getpass", lambda question: next(passwords))
        self.patch(sys, "stdin", _Terminal())
        out = _Terminal()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", io.StringIO())
        self.assertEqual(command.run(["init"]), 0)
        self.assertEqual(
            asked,
            [
                f"Carrier profile ({', '.join(profileNames())}) [generic]: ",
                "SIP domain of the carrier: ",
                "SIP domain of the carrier: ",
                "Account at the carrier: ",
                "SIP address of the PBX, as udp:192.0.2.5:5060: ",
                "Where the PBX sends its calls [udp:127.0.0.1:5080]: ",
                "Country where the PBX stands, two letters: ",
            ],
        )
        self.assertNotIn(MARKER, out.getvalue())
        self.assertEqual(Path("trunk.secret").read_text(), f"{MARKER}\n")
        self.assertEqual([str(address) for address in self.load().pbxes[0].listen], ["udp:127.0.0.1:5080"])
