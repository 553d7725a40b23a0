"""The trunk as a process of its own: C{twistd skypetrunk}, from its command line to its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import skypetrunk
from tests.service.scene import freePorts

ROOT = Path(skypetrunk.__file__).parent.parent

CONFIGURATION = """\
[[trunk]]
name = "carrier"
profile = "skype-connect"
username = "99051000000001"
password_file = "carrier.secret"
targets = ["127.0.0.1:9"]
[trunk.limits]
calls = 5
[[pbx]]
name = "office"
listen = ["udp:127.0.0.1:{port}", "tcp:127.0.0.1:{port}"]
address = "udp:127.0.0.1:{other}"
[media]
address = "127.0.0.1"
ports = "{first}-{last}"
[numbers]
country = "GB"
[control]
socket = "control"
"""


SCRIPTS = {
    name: f"import sys; sys.argv[0] = {name!r}; from {module} import {run}; sys.exit({run}())"
    for name, module, run in (
        ("twistd", "twisted.scripts.twistd", "run"),
        ("skypetrunk", "skypetrunk.tools.main", "main"),
    )
}


class ProcessCase(SynchronousTestCase):
    """
    Runs processes in a directory of its own; each is ended with the test.

    @ivar directory: with a good C{trunk.toml}.
    """

    def setUp(self) -> None:
        """Write the configuration."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)
        # The path of a socket may not be long.
        self.control = Path("/tmp") / f"skypetrunk-{os.getpid()}-{time.monotonic_ns()}"
        self.addCleanup(self.control.unlink, missing_ok=True)
        self.port = freePorts(30)
        text = CONFIGURATION.format(
            port=self.port, other=self.port + 2, first=self.port + 4, last=self.port + 27
        )
        self.write("trunk.toml", text.replace('"control"', f'"{self.control}"'))
        self.write("carrier.secret", "a password")

    def write(self, name: str, text: str) -> None:
        """A file that only its owner can read."""
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)

    def start(self, script: str, *arguments: str, log: str = "log") -> subprocess.Popen[str]:
        """A console script of this Python; what it prints goes to files."""
        with open(self.directory / log, "w") as out, open(self.directory / f"{log}.err", "w") as err:
            process = subprocess.Popen(
                [sys.executable, "-c", SCRIPTS[script], *arguments],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                text=True,
            )
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        return process

    def trunk(self, *arguments: str, log: str = "log", pid: str = "pid") -> subprocess.Popen[str]:
        """The trunk in the foreground."""
        return self.start("twistd", "-n", f"--pidfile={pid}", "skypetrunk", *arguments, log=log)

    def run_(self, script: str, *arguments: str) -> tuple[int, str, str]:
        """A console script to its end: status, output and errors."""
        done = self.start(script, *arguments, log="run").wait(20)
        return done, self.read("run"), self.read("run.err")

    def read(self, name: str) -> str:
        """A file's text."""
        return (self.directory / name).read_text()

    def changed(self, name: str, *changes: tuple[str, str]) -> None:
        """Another configuration that differs from the first."""
        text = self.read("trunk.toml")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.write(name, text)

    def options(self) -> bytes:
        """The answer to an OPTIONS of the PBX."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            peer.sendto(
                b"OPTIONS sip:trunk@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK1\r\n"
                b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
                b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
                ("127.0.0.1", self.port),
            )
            return peer.recv(65536)

    def until(self, done: Callable[[], object], what: str, seconds: float = 15.0) -> None:
        """Wait for something."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                self.fail(f"not within {seconds} s: {what}\n{self.read('log')}{self.read('log.err')}")
            time.sleep(0.05)

    def running(self, *arguments: str) -> subprocess.Popen[str]:
        """A trunk that says it is running."""
        process = self.trunk(*arguments)
        self.until(lambda: "is running" in self.read("log"), "running")
        return process


class StartTests(ProcessCase):
    """What goes wrong at the start is told in a line, and nothing is left behind."""

    def test_taken(self) -> None:
        """A second instance: one line, status 1, no pid file; in the foreground and as a daemon."""
        first = self.running()
        line = f"skypetrunk: cannot listen on 127.0.0.1:{self.port}: Address already in use\n"
        for arguments in (("-n",), ("--logfile=daemon.log",)):
            status, out, err = self.run_("twistd", *arguments, "--pidfile=second", "skypetrunk")
            self.assertEqual((status, out, err), (1, "", line), arguments)
            self.assertFalse((self.directory / "second").exists())
        self.assertIsNone(first.poll())
        self.assertTrue(self.options().startswith(b"SIP/2.0 503 "))

    def test_elsewhere(self) -> None:
        """An address of another machine's."""
        self.changed("other.toml", (f"udp:127.0.0.1:{self.port}", f"udp:192.0.2.1:{self.port}"))
        line = f"skypetrunk: cannot listen on 192.0.2.1:{self.port}: Cannot assign requested address;"
        told = self.run_("skypetrunk", "run", "--config", "other.toml")
        self.assertEqual(told, (1, "", f"{line} would be right: an address of this machine\n"))

    def test_mediaElsewhere(self) -> None:
        """Audio at another machine's address: the trunk runs, and says at once that there will be none."""
        self.changed("other.toml", ('[media]\naddress = "127.0.0.1"', '[media]\naddress = "192.0.2.1"'))
        self.running("--config", "other.toml")
        self.assertEqual(
            self.read("log.err"),
            "warning: media.address: 192.0.2.1 is no address of this machine, so that nothing can be received"
            " there\n",
        )

    def test_takenControl(self) -> None:
        """The control socket is somebody's: one line that names it, and it stays theirs."""
        self.running()
        self.changed("other.toml", (f":{self.port}", f":{self.port + 1}"))
        status, out, err = self.run_("twistd", "-n", "--pidfile=", "skypetrunk", "--config", "other.toml")
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(err, f"skypetrunk: cannot listen on {self.control}: Address already in use\n")
        self.assertEqual(self.run_("skypetrunk", "status")[1].count("trunk carrier: down"), 1)

    def test_mistakes(self) -> None:
        """Every mistake in the configuration in a line of its own, status 2, and nothing else."""
        self.changed("bad.toml", ("profile =", "profil ="), ('country = "GB"', 'country = "XX"'))
        for arguments in ((), ("-n",)):
            status, out, err = self.run_("twistd", *arguments, "--pidfile=p", "skypetrunk", "-c", "bad.toml")
            self.assertEqual((status, out), (2, ""))
            lines = err.splitlines()
            self.assertTrue(all(line.startswith("bad.toml: ") for line in lines), err)
            for part in ("profil: ", "numbers.country"):
                self.assertEqual(len([line for line in lines if part in line]), 1, err)
            self.assertFalse((self.directory / "p").exists())
        self.changed("bad.toml", ("[trunk.limits]", '[trunk.tls]\nca_file = "none.pem"\n[trunk.limits]'))
        status, out, err = self.run_("twistd", "-n", "--pidfile=", "skypetrunk", "-c", "bad.toml")
        self.assertEqual((status, out, err.count("\n")), (2, "", 1))
        self.assertIn("none.pem", err)

    def test_help(self) -> None:
        """The usage has its words once, and names every option."""
        status, out, err = self.run_("twistd", "skypetrunk", "--help")
        self.assertEqual((status, err), (0, ""))
        self.assertTrue(out.startswith("Usage: twistd [options] skypetrunk [options]\n"), out)
        for option in ("-c, --config=", "--debug", "--version", "--help"):
            self.assertIn(option, out)

    def test_killed(self) -> None:
        """What a killed process has left is no obstacle."""
        first = self.running()
        first.kill()
        first.wait(10)
        self.assertTrue(self.control.is_socket())
        self.running()
        self.assertIn("trunk carrier: down", self.run_("skypetrunk", "status")[1])


class RunTests(ProcessCase):
    """While it runs, and its end."""

    def test_terminate(self) -> None:
        """SIGTERM: ended soon, as twistd ends, with nothing left and no traceback."""
        self.ends(signal.SIGTERM)

    def test_hangUp(self) -> None:
        """The same when its terminal closes (SIGHUP), however often it is told."""
        self.ends(signal.SIGHUP, signal.SIGHUP, signal.SIGHUP)

    def ends(self, *numbers: signal.Signals) -> None:
        """A trunk ends by these signals."""
        process = self.running()
        start = time.monotonic()
        for each in numbers:
            process.send_signal(each)
        self.assertIn(process.wait(10), (0, -signal.SIGTERM))
        self.assertLess(time.monotonic() - start, 3.0)
        self.assertFalse(self.control.exists())
        self.assertFalse((self.directory / "pid").exists())
        for name in ("log", "log.err"):
            self.assertNotIn("Traceback", self.read(name))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", self.port))

    def test_terminateDaemon(self) -> None:
        """The same as a daemon, which serves what was bound before it became one."""
        status, out, err = self.run_("twistd", "--pidfile=pid", "--logfile=log", "skypetrunk")
        self.assertEqual((status, out, err), (0, "", ""))
        self.until(lambda: "is running" in self.read("log"), "running")
        pid = int(self.read("pid"))
        self.addCleanup(_kill, pid)
        self.assertTrue(self.options().startswith(b"SIP/2.0 503 "))
        self.assertIn("trunk carrier: down", self.run_("skypetrunk", "status")[1])
        os.kill(pid, signal.SIGTERM)
        self.until(lambda: not (self.directory / "pid").exists(), "its pid file is gone")
        self.assertFalse(self.control.exists())
        self.assertNotIn("Traceback", self.read("log"))

    def test_mediaWorkers(self) -> None:
        """Workers of a daemon are ready, and end with it: after its own end, and when it is killed."""
        self.changed("trunk.toml", ("[media]\n", "[media]\nworkers = 1\n"))
        for number in (signal.SIGTERM, signal.SIGKILL):
            log = f"log{number}"
            self.assertEqual(
                self.run_("twistd", "--pidfile=pid", f"--logfile={log}", "skypetrunk"), (0, "", "")
            )
            found: list[str] = []

            def ready(log: str = log, found: list[str] = found) -> bool:
                found[:] = re.findall(r"media worker 1 is ready, process (\d+)", self.read(log))
                return bool(found)

            self.until(ready, "the worker is ready")
            pid, worker = int(self.read("pid")), int(found[0])
            self.addCleanup(_kill, pid)
            os.kill(pid, number)
            self.until(lambda pid=pid, worker=worker: not (_runs(pid) or _runs(worker)), "both are gone")  # type: ignore[misc]
            self.assertNotIn("has ended", self.read(log))
            (self.directory / "pid").unlink(missing_ok=True)

    def test_status(self) -> None:
        """What is up in lines for people, or as JSON; 1 as long as a trunk is not up, or nothing answers."""
        self.running()
        self.until(lambda: "no connection" in self.read("log"), "tried to connect")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.sendto(b"x", ("127.0.0.1", self.port))
        status, out, err = self.run_("skypetrunk", "status")
        self.assertEqual((status, err), (1, ""))
        lines = out.splitlines()
        self.assertTrue(lines[0].startswith("trunk carrier: down: tls:127.0.0.1:9: "), out)
        self.assertTrue(lines[0].endswith("; 0 calls"), out)
        where = f"udp:127.0.0.1:{self.port}, tcp:127.0.0.1:{self.port}"
        self.assertRegex(lines[1], r"^  tls:127\.0\.0\.1:9: passed over for \d+ s: .*refused")
        self.assertEqual(
            lines[2:],
            [
                f"pbx office: listens on {where}; 0 calls, 1 strangers dropped (last 127.0.0.2),"
                " 0 malformed messages",
                "calls: 0 up, 0 since the start",
            ],
        )
        status, out, err = self.run_("skypetrunk", "status", "--json", "--socket", str(self.control))
        self.assertEqual((status, err), (1, ""))
        self.assertEqual(json.loads(out)["trunks"]["carrier"]["up"], False)
        status, out, err = self.run_("skypetrunk", "status", "--socket", "none")
        self.assertEqual((status, out, err.count("\n")), (1, "", 1))
        self.changed("bare.toml", ("[control]", ""), (f'socket = "{self.control}"', ""))
        status, out, err = self.run_("skypetrunk", "status", "-c", "bare.toml")
        self.assertEqual((status, out, err.count("\n")), (2, "", 1))
        self.assertIn("control.socket: is missing", err)

    def test_debug(self) -> None:
        """C{--debug} logs every message; without it none, and no port that opens or closes."""
        first = self.running("--debug")
        self.options()
        self.until(lambda: "OPTIONS sip:trunk@127.0.0.1 SIP/2.0" in self.read("log"), "the message")
        self.until(lambda: "SIP/2.0 503 " in self.read("log"), "the answer")
        first.terminate()
        first.wait(10)
        self.running()
        self.options()
        self.assertNotIn("OPTIONS sip:", self.read("log"))


def _runs(pid: int) -> bool:
    """Is there such a process, and not only its remains?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
