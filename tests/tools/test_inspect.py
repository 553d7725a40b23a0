"""C{skypetrunk inspect}: the torture messages of RFC 4475, and what it prints."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import skypetrunk
from skypetrunk.tools import main as command
from tests.tools.test_tools import ToolTestCase
from tests.wire.vectors import VECTORS, readJSON

TORTURE = VECTORS / "sip_torture"
MESSAGES: list[dict[str, Any]] = [
    entry for entry in readJSON("sip_torture/rfc4475.json")["messages"] if entry["verdict"] != "none"
]
MANAGED: dict[str, dict[str, Any]] = {
    entry["id"]: entry for entry in readJSON("mikey/mikey.json")["messages"]
}
KEY = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

INVITE = (
    b"INVITE sip:a:pass@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:c:word@d>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:c@d>\r\nMax-Forwards: 70\r\n"
    b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%b"
)
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/SAVP 8 101\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 %b\r\na=sendonly\r\n" % KEY.encode()
)
CALL = INVITE % (len(SDP), SDP)

DISCARDED = "RFC 3261 section 18.3"


class InspectTests(ToolTestCase):
    """What is printed, and the exit status."""

    def inspect(self, *arguments: str, stdin: bytes | None = None) -> tuple[int | str | None, str, str]:
        """Run it; no secret is ever printed for people."""
        if stdin is not None:
            wrapped = io.TextIOWrapper(io.BytesIO(stdin))
            run, patch = command.run, self.patch

            def withInput(given: Any) -> int:
                patch(sys, "stdin", wrapped)
                return run(given)

            self.patch(command, "run", withInput)
        status, out, err = self.run_("inspect", *arguments)
        self.assertNotIn(KEY.lower(), (out + err).lower())
        return status, out, err

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """The objects of C{--json}; nothing else is printed."""
        _, out, err = self.inspect("--json", *arguments)
        self.assertEqual(err, "")
        return [json.loads(line) for line in out.splitlines()]

    def write(self, name: str, data: bytes) -> str:
        """A file of the test's."""
        Path(name).write_bytes(data)
        return name

    def test_torture(self) -> None:
        """Each of the 49 messages gets its verdict, status and fields."""
        self.assertEqual(len(MESSAGES), 49)
        files = [str(TORTURE / entry["file"]) for entry in MESSAGES]
        for entry, seen in zip(MESSAGES, self.objects(*files), strict=True):
            name = entry["name"]
            self.assertEqual(set(seen), {"file", "verdict", "status", "fields", "problems"})
            self.assertEqual(seen["file"], str(TORTURE / entry["file"]))
            match entry["verdict"]:
                case "accept":
                    self.assertEqual((seen["verdict"], seen["status"]), ("valid", None), name)
                case "reject":
                    self.assertEqual(seen["verdict"], "invalid", name)
                    self.assertIn(seen["status"], entry["reject_status"], name)
                case "discard":
                    self.assertEqual((seen["verdict"], seen["status"]), ("invalid", None), name)
                case _:
                    self.assertIn(seen["status"], [None, *entry["reject_status"]], name)
            wanted = entry["fields"]
            self.assertEqual({field: seen["fields"].get(field) for field in wanted}, wanted, name)
            # Lenient elements read the broken To of this one.
            self.assertEqual(set(seen["fields"]) - set(wanted), {"to"} if name == "badaspec" else set(), name)
            if seen["verdict"] == "invalid":
                self.assertTrue(seen["problems"], name)
            for problem in seen["problems"]:
                self.assertRegex(problem["section"], r"^RFC \d+ section \d[\d.]*$", name)

    def test_alone(self) -> None:
        """The exit status of each message by itself says its verdict."""
        for entry in MESSAGES:
            status, out, _ = self.inspect(str(TORTURE / entry["file"]))
            self.assertEqual(status, 0 if ": valid\n" in out else 1, entry["name"])

    def test_people(self) -> None:
        """Verdict, start line, routing headers, SDP; passwords and keys are hidden."""
        status, out, err = self.inspect(self.write("call", CALL))
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(
            out,
            "call: valid\n"
            "  INVITE sip:a:<hidden>@b SIP/2.0\n"
            "  Via: SIP/2.0/TCP c;branch=z9hG4bK1\n"
            "  From: <sip:c:<hidden>@d>;tag=1\n"
            "  To: <sip:a@b>\n"
            "  Call-ID: x\n"
            "  CSeq: 1 INVITE\n"
            "  Contact: <sip:c@d>\n"
            "  Max-Forwards: 70\n"
            "  SDP: audio 4000 RTP/SAVP 8 101, sendonly, at 192.0.2.1, keys for AES_CM_128_HMAC_SHA1_80\n",
        )

    def test_mikey(self) -> None:
        """What is in a MIKEY message, of the stream or the session, without its keys; or why it is none."""
        suite = "AES_CM_128_HMAC_SHA1_80"
        bare = SDP[: SDP.index(b"a=crypto")]
        for name, told in (
            ("psk-1", f"offer, {suite}, encrypted, with a MAC, 2 crypto sessions"),
            ("rtsp-null-kemac", f"offer, {suite}, in clear, no MAC, 1 crypto sessions"),
        ):
            managed = MANAGED[name]["sdp"].encode() + b"\r\n"
            for body in (bare + managed, bare.replace(b"m=audio", managed + b"m=audio")):
                status, out, _ = self.inspect(self.write("call", INVITE % (len(body), body)))
                self.assertIn(f"keys by MIKEY ({told})\n", out)
                self.assertNotIn(MANAGED[name]["base64"][:16], out)
                self.assertEqual(status, 0)
        body = bare + b"a=key-mgmt:mikey AAAA\r\n"
        _, out, _ = self.inspect(self.write("call", INVITE % (len(body), body)))
        self.assertIn(", keys by MIKEY that cannot be read: the message ends early\n", out)

    def test_problems(self) -> None:
        """All that is wrong is told, not only what decides."""
        broken = CALL.replace(b"CSeq: 1 INVITE", b"CSeq: x INVITE").replace(b"To: <sip:a@b>", b"To: <sip:a@b")
        status, out, _ = self.inspect(self.write("broken", broken))
        self.assertEqual(status, 1)
        self.assertTrue(out.startswith("broken: invalid, answered with 400\n"), out)
        self.assertIn("  problem: CSeq: ", out)
        self.assertIn("(RFC 3261 section 20.16)\n", out)
        self.assertIn("(RFC 3261 section 20.39)\n", out)

    def test_brokenList(self) -> None:
        """A list that cannot be cut is shown as it stands."""
        broken = CALL.replace(b"Max-Forwards", b'Route: "x <sip:a>, <sip:b\r\nMax-Forwards')
        status, out, _ = self.inspect(self.write("broken", broken))
        self.assertEqual(status, 1)
        self.assertIn('  Route: "x <sip:a>, <sip:b\n', out)
        self.assertIn("(RFC 3261 section 20.34)\n", out)
        self.assertNotIn("route", self.objects("broken")[0]["fields"])

    def test_lesserProblems(self) -> None:
        """What is let pass is told of a valid message, SDP that cannot be read too."""
        poor = (
            CALL.replace(b"z9hG4bK1", b"1")
            .replace(b";tag=1", b"")
            .replace(b"Max-Forwards: 70\r\n", b"")
            .replace(b"Contact: <sip:c@d>\r\n", b"Date: today\r\n")
            .replace(b"v=0", b"v=1")
        )
        (seen,) = self.objects(self.write("poor", poor))
        self.assertEqual((seen["verdict"], seen["status"]), ("valid", None))
        self.assertEqual(
            [problem["section"] for problem in seen["problems"]],
            [
                *(f"RFC 3261 section 8.1.1.{number}" for number in (6, 8, 7, 3)),
                "RFC 3261 section 20.17",
                "RFC 8866 section 5",
            ],
        )

    def test_stdin(self) -> None:
        """C{-} is standard input."""
        status, out, _ = self.inspect("-", stdin=CALL)
        self.assertEqual((status, out.splitlines()[0]), (0, "-: valid"))

    def test_stdinClosed(self) -> None:
        """Without a standard input C{-} cannot be read: one line, and 2."""
        root = Path(skypetrunk.__file__).parent.parent
        done = subprocess.run(
            ["sh", "-c", 'exec "$0" -m skypetrunk.tools.main inspect - <&-', sys.executable],
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        wanted = (2, "", "skypetrunk: -: cannot be read: it is closed\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), wanted)

    def test_stream(self) -> None:
        """All messages of a stream, keep-alives between them left out; Content-Length is required."""
        two = self.write("two", CALL + b"\r\n\r\n" + CALL)
        self.assertEqual([seen["verdict"] for seen in self.objects("--stream", two)], ["valid", "valid"])
        self.assertEqual(len(self.objects(two)), 1)
        bare = self.write("bare", CALL.replace(b"Content-Length: %d\r\n" % len(SDP), b""))
        (seen,) = self.objects("--stream", bare)
        self.assertEqual((seen["verdict"], seen["status"]), ("invalid", 400))
        self.assertEqual(seen["problems"][0]["section"], "RFC 3261 section 20.14")
        self.assertEqual(seen["fields"]["call_id"], "x")
        self.assertEqual(self.objects(bare)[0]["verdict"], "valid")

    def test_streamEnds(self) -> None:
        """What follows a whole message and is none, and what is not finished: invalid, after the good one."""
        for tail, status, section in (
            (CALL[:-1], None, "18.3"),
            (CALL.replace(b"Content-Length: ", b"Content-Length: -"), 400, "20.14"),
            (b"\0" * 9000, None, "21.5.7"),
        ):
            good, bad = self.objects("--stream", self.write("tail", CALL + tail))
            self.assertEqual((good["verdict"], bad["verdict"], bad["status"]), ("valid", "invalid", status))
            self.assertEqual(bad["problems"][0]["section"], f"RFC 3261 section {section}")
        (nothing,) = self.objects("--stream", self.write("empty", b"\r\n\r\n"))
        self.assertEqual((nothing["verdict"], nothing["fields"]), ("invalid", {}))

    def test_behind(self) -> None:
        """A datagram is one message: what follows it is told, but for an editor's line end."""
        (seen,) = self.objects(self.write("two", CALL + CALL))
        told = [{"text": f"{len(CALL)} octets behind the body, which are discarded", "section": DISCARDED}]
        self.assertEqual((seen["verdict"], seen["problems"]), ("valid", told))
        self.assertEqual(self.objects(self.write("edited", CALL + b"\r\n"))[0]["problems"], [])

    def test_lineEnds(self) -> None:
        """Lines that end with LF: said so, and shown as lines, so that no key passes for a header."""
        for name, data in (
            ("all", CALL.replace(b"\r\n", b"\n")),
            ("some", CALL.replace(b"\r\n", b"\n").replace(b"a=sendonly\n", b"a=sendonly\r\n")),
            ("body", CALL.replace(b"SIP/2.0\r\n", b"SIP/2.0\n")),
        ):
            status, out, _ = self.inspect(self.write(name, data))
            self.assertEqual(status, 1)
            self.assertIn("  INVITE sip:a:<hidden>@b SIP/2.0\n  Via: SIP/2.0/TCP c;branch=z9hG4bK1\n", out)
            self.assertEqual("  problem: lines that end with LF alone, not with CR LF" in out, name == "all")
            self.assertEqual(self.objects(name)[0]["fields"]["call_id"], "x")

    def test_otherFiles(self) -> None:
        """What is given by mistake is called by its name."""
        for data, what in (
            (b"\xd4\xc3\xb2\xa1" + bytes(60) + CALL, "a capture of packets (pcap)"),
            (b"\x0a\x0d\x0d\x0a" + bytes(60) + CALL, "a capture of packets (pcapng)"),
            (CALL.decode().encode("utf-16"), "text in UTF-16"),
            (b"\xef\xbb\xbf" + CALL, "text with a byte order mark"),
        ):
            for arguments in ((), ("--stream",)):
                status, out, _ = self.inspect(*arguments, self.write("file", data))
                self.assertEqual(status, 1)
                said = f"  problem: no SIP message: {what} (RFC 3261 section 7)"
                self.assertEqual(out.splitlines()[1:], [said])

    def test_large(self) -> None:
        """A file larger than any datagram is not read to its end."""
        status, out, _ = self.inspect(self.write("large", CALL + bytes(70000)))
        self.assertEqual(status, 1)
        self.assertIn("more than 65535 octets (RFC 3261 section 18.1.1)", out)

    def test_terminal(self) -> None:
        """Octets that a terminal would obey are shown, not sent; octets that are no UTF-8 too."""
        _, out, _ = self.inspect(self.write("escape", CALL.replace(b"Call-ID: x", b"Call-ID: x\x1b[2J\xff")))
        self.assertIn("Call-ID: x\\x1b[2J\\xff\n", out)
        (seen,) = self.objects("escape")
        self.assertEqual(seen["fields"]["call_id"], "x\x1b[2J\udcff")

    def test_mistakes(self) -> None:
        """A mistake is one line, and 2; the other files are inspected all the same."""
        self.assertEqual(self.inspect(), (2, "", "skypetrunk: which file? - is standard input\n"))
        status, out, err = self.inspect("none", self.write("call", CALL), ".")
        self.assertEqual((status, out.splitlines()[0]), (2, "call: valid"))
        self.assertEqual(
            err,
            "skypetrunk: none: cannot be read: No such file or directory\n"
            "skypetrunk: .: cannot be read: Is a directory\n",
        )

    def test_help(self) -> None:
        """Its own words name every option, and what the exit status means."""
        status, out, err = self.inspect("--help")
        self.assertEqual((status, err), (0, ""))
        for word in ("[options] FILE...", "--json", "--stream", "standard input", "Exits with 0"):
            self.assertIn(word, " ".join(out.split()))
