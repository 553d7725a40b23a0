"""
C{skypetrunk demo} as a process: real sockets on loopback, nothing but what is in the package.

The runs of one test go side by side; each takes some ten seconds, nearly all of them waiting.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import wave
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import skypetrunk
from tests.tools.test_tools import ToolTestCase

_BOUND = 30.0

# A shell that starts tests in the background has SIGINT ignored, and so would be what they start.
_COMMAND = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from skypetrunk.tools import demonstration, main;{} main.main()"
)

# The echo sends back the phone's own tone; another number answers without SRTP.
_ECHO = "demonstration._CALLED = '+442079460001';"
_CLEAR = "demonstration._CALLED = '+442079460006';"


class DemoTestCase(SynchronousTestCase):
    """
    Starts demonstrations.

    @ivar directory: where they run.
    """

    def setUp(self) -> None:
        """A directory whose name leaves room for the control sockets (unix(7): 107 octets)."""
        self.directory = Path(tempfile.mkdtemp(prefix="demo-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def start(self, name: str, *options: str, before: str = "") -> subprocess.Popen[str]:
        """
        A demonstration that runs in the directory C{name}.

        @param before: what is done to the modules first.
        """
        where = self.directory / name
        where.mkdir()
        environ = {
            **os.environ,
            "PYTHONPATH": str(Path(skypetrunk.__file__).parent.parent),
            "PYTHONIOENCODING": "utf-8",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND.format(before), "demo", *options],
            cwd=where,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        # Who reads a line from one that hangs would wait for ever
        bound = threading.Timer(_BOUND, process.kill)
        bound.start()
        self.addCleanup(self._end, process, bound)
        return process

    def _end(self, process: subprocess.Popen[str], bound: threading.Timer) -> None:
        bound.cancel()
        process.kill()
        process.communicate()

    def outcome(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Exit status and output; nothing is said on standard error, and nothing raises."""
        out, err = process.communicate(timeout=_BOUND)
        self.assertEqual(err, "")
        self.assertNotIn("Traceback", out)
        return process.returncode, out


class RunTests(DemoTestCase):
    """Whole runs."""

    def test_runs(self) -> None:
        """A good run, one with TLS 1.3, and two that must say no: all at once."""
        good = self.start("good")
        modern = self.start("modern", "--tls", "1.3", "--directory", "x/y")
        echo = self.start("echo", before=_ECHO)
        clear = self.start("clear", before=_CLEAR)
        self.checkGood(*self.outcome(good))
        self.checkModern(*self.outcome(modern))
        status, out = self.outcome(echo)
        self.assertEqual(status, 1, out)
        words = " ".join(out.split())
        self.assertIn("the tone of 650 Hz was not recognised at the PBX: it is in 0 of ", words)
        self.assertNotIn("verified:", out)
        status, out = self.outcome(clear)
        self.assertEqual(status, 1, out)
        self.assertIn("\n✗ Call out: extension 1001 calls +442079460006: it was not answered: 488 ", out)
        self.assertNotIn("verified:", out)

    def checkGood(self, status: int, out: str) -> None:
        """Everything the report has to show, and nothing secret."""
        self.assertEqual(status, 0, out)
        self.assertIn("\n✓ 2 calls verified: 4 of 4 tones recognised at their far ends;\n", out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)
        steps = re.findall(r"^ +([0-9]+)  [→←↔] .* seen +(?:flight|after)", out, re.MULTILINE)
        self.assertEqual([int(each) for each in steps], list(range(1, 16)))
        self.assertIn("proved by   URI sip:sip.skype.com; pinned key of ", out)
        for rung in (
            "│── INVITE, RTP/AVP ──",
            "│── INVITE + credentials, RTP/SAVP 2 keys ──",
            "│◀── INVITE, RTP/SAVP 2 keys ──",
            "│── 200 OK (INVITE), RTP/SAVP 1 key ──",
            "│── REGISTER + credentials ──",
        ):
            self.assertIn(rung, out)
        self.assertEqual(out.count("SRTP AES_CM_128_HMAC_SHA1_80"), 2)
        flows = re.findall(r"(?:trunk → carrier|carrier → trunk)" + r" +([0-9]+)" * 6 + "\n", out)
        self.assertEqual(len(flows), 4)
        for protected, authenticated, refused, lost, rtcpSent, rtcpReceived in flows:
            self.assertEqual((refused, lost, rtcpSent, rtcpReceived), ("0", "0", "1", "1"))
            self.assertGreater(int(authenticated), 150)
            self.assertGreaterEqual(int(protected), int(authenticated))
        self.checkFiles(self.directory / "good" / "skypetrunk-demo", out)

    def checkFiles(self, directory: Path, out: str) -> None:
        """Four recordings of some four seconds; what is secret stands in none of the words."""
        recordings = sorted(directory.glob("*.wav"))
        self.assertEqual(len(recordings), 4)
        for path in recordings:
            self.assertIn(f"skypetrunk-demo/{path.name}", out)
            with wave.open(str(path)) as file:
                self.assertEqual((file.getframerate(), file.getnchannels()), (8000, 1))
                self.assertGreater(file.getnframes(), 3 * 8000)
        words = out + (directory / "demo.log").read_text("utf-8")
        self.assertNotIn((directory / "trunk" / "password").read_text("ascii"), words)
        self.assertNotIn("PRIVATE KEY", words)
        self.assertNotIn("inline:", words)
        self.assertNotIn("Digest ", words)
        self.assertEqual((directory / "trunk" / "password").stat().st_mode & 0o077, 0)

    def checkModern(self, status: int, out: str) -> None:
        """TLS 1.3 has fewer steps, and the report says so."""
        self.assertEqual(status, 0, out)
        self.assertIn("(TLSv1.3, ", out)
        missing = re.findall(r"^ +([0-9]+)  .* not in TLS 1.3$", out, re.MULTILINE)
        self.assertEqual(missing, ["5", "6", "8", "10", "12"])
        self.assertEqual(len(list((self.directory / "modern" / "x" / "y").glob("*.wav"))), 4)

    def test_tooLong(self) -> None:
        """A control socket whose path is too long: one line."""
        process = self.start("x" * 100, "--keep", "-d", "y" * 100)
        out, err = process.communicate(timeout=_BOUND)
        self.assertEqual((process.returncode, out), (1, ""))
        path = f"{'y' * 100}/trunk/carrier.sock"
        self.assertEqual(err, f"skypetrunk demo: cannot listen on {path}: AF_UNIX path too long\n")

    def test_readerGone(self) -> None:
        """What reads has read enough: no word about it, and nothing is left running."""
        process = self.start("gone")
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(_BOUND), 141)
        self.assertEqual(process.stderr.read(), "")
        process.stderr.close()

    def test_interrupted(self) -> None:
        """Ctrl-C in a call, and while it is kept: soon over, without a word too many."""
        early, kept = self.start("early"), self.start("kept", "--keep")
        assert early.stdout is not None and kept.stdout is not None
        while "Registered" not in early.stdout.readline():
            self.assertIsNone(early.poll())
        early.send_signal(signal.SIGINT)
        status, out = self.outcome(early)
        self.assertEqual((status, out), (130, "Interrupted; everything was stopped.\n"))
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            self.assertIsNone(kept.poll())
            lines.append(kept.stdout.readline())
        text = "".join(lines)
        self.assertIn("calls verified", text)
        self.assertRegex(text, r"proxy or server +127\.0\.0\.1:[0-9]+, UDP")
        self.assertIn("--socket skypetrunk-demo/trunk/carrier.sock", text)
        kept.send_signal(signal.SIGINT)
        status, out = self.outcome(kept)
        self.assertEqual((status, out), (0, "\n✓ Stopped\n"))


class CommandTests(ToolTestCase):
    """The command line."""

    def test_help(self) -> None:
        """Every option is there."""
        status, out, err = self.run_("demo", "--help")
        self.assertEqual((status, err), (0, ""))
        for option in ("--directory=", "--keep", "--tls="):
            self.assertIn(option, out)

    def test_unknownVersion(self) -> None:
        """One line, and nothing is made."""
        self.assertEqual(
            self.run_("demo", "--tls", "1.1"), (2, "", "skypetrunk: --tls: 1.1 is neither 1.2 nor 1.3\n")
        )
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_noDirectory(self) -> None:
        """A directory that cannot be made."""
        Path("taken").write_text("")
        self.assertEqual(self.run_("demo", "-d", "taken"), (1, "", "skypetrunk demo: taken: File exists\n"))
