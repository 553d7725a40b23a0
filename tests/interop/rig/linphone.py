"""
linphonec as a phone of the PBX, UDP and RTP in clear, or of the carrier, TLS and SRTP; with all its codecs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.interop.rig.audio import sine, writeWAV
from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program, render
from tests.interop.rig.sip import Message


@dataclass(frozen=True)
class CarrierAccount:
    """
    A user of the carrier.

    @ivar where: host and port of the carrier's TLS.
    @ivar caFile: who vouches for it.
    """

    password: str
    where: str
    caFile: Path

    def lines(self, user: str) -> str:
        """Of linphone's configuration."""
        way = f"<sip:{self.where};transport=tls>"
        return "\n".join(
            (
                "media_encryption_mandatory=1",
                f"root_ca={self.caFile}",
                # The certificate is the domain's, and it connects to an address.
                "verify_server_cn=0",
                # Without gruu: Kamailio would grant one, and is not made to route by it.
                "supported=replaces, outbound",
                "default_proxy=0",
                "[proxy_0]",
                f"reg_proxy={way}",
                f"reg_route={way}",
                f"reg_identity=sip:{user}@{DOMAIN}",
                "reg_expires=600",
                "reg_sendregister=1",
                "[auth_info_0]",
                f"username={user}",
                f"passwd={self.password}",
                f"realm={DOMAIN}",
                f"domain={DOMAIN}",
            )
        )


class Linphone(Peer):
    """
    A phone with a WAV file for a voice and another one for an ear; it answers by itself.

    @ivar address: its literal address, in signalling and media.
    @ivar port: its SIP port for UDP.
    @ivar mediaPorts: its RTP and RTCP ports.
    @ivar recording: what it heard, in its last call.
    """

    def __init__(self, scratch: Path, number: str, tone: int, carrier: CarrierAccount | None = None) -> None:
        """
        @param number: its user name.
        @param tone: what it says, in Hz.
        @param carrier: where it registers; C{None}: it belongs to the PBX.
        """
        super().__init__(scratch, "linphone")
        self.address = host(34)
        self._kind = "udp" if carrier is None else "tcp"
        self.port = takePorts(self.address)
        first = takePorts(self.address, 2)
        self.mediaPorts = range(first, first + 2)
        self.recording = scratch / "linphone-heard.wav"
        self._trace = scratch / "linphone.trace"
        self._voice = scratch / "linphone-says.wav"
        writeWAV(self._voice, sine(tone, 30))
        self._home = scratch / "linphone-home"
        (self._home / ".local/share/linphone").mkdir(parents=True)
        # The number first: what stands beside the address would look like the end of another name.
        values: dict[str, object] = {"NUMBER": number, "ADDRESS": self.address, "RTP": first}
        values |= {"PORT": self.port, "TLSPORT": 0, "ENCRYPTION": "none", "ACCOUNT": ""}
        if carrier is not None:
            values |= {"PORT": 0, "TLSPORT": self.port, "ENCRYPTION": "srtp"}
            values["ACCOUNT"] = carrier.lines(number)
        render("linphonerc.in", scratch / "linphonerc", values)

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.launch(
            [program("stdbuf"), "-oL", program("linphonec"), "-a", "-c", str(self.scratch / "linphonerc")]
            + ["-d", "6", "-l", str(self._trace)],
            environment={"HOME": str(self._home)},
            input=True,
        )
        self.waitFor(lambda: listening(self._kind, self.address, self.port), 15, "listen")
        self.command("soundcard use files")
        self.command(f"record {self.recording}")

    def command(self, words: str) -> None:
        """Type a line; returns at once."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{words}\n".encode())
        self._process.stdin.flush()

    def dial(self, uri: str) -> None:
        """Call C{uri}; returns at once."""
        self.command(f"call {uri}")

    def hangUp(self) -> None:
        """End the call."""
        self.command("terminate")

    def stop(self, seconds: float = 5.0) -> int | None:
        """End it as its user would; it takes no notice of TERM."""
        if self.running():
            self.command("quit")
        return super().stop(seconds)

    def states(self) -> list[str]:
        """States of its calls so far: C{OutgoingRinging}, C{StreamsRunning}, C{End}..."""
        text = self._trace.read_text(errors="replace") if self._trace.exists() else ""
        return re.findall(r"moving from state \S+ to (?:LinphoneCall)?(\w+)", text)

    def messages(self) -> list[Message]:
        """The SIP messages it sent and received so far, from its trace."""
        text = self._trace.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
        start = r"(message sent to|new bytes from) \[[^\n]*\n"
        message = r"((?:SIP/2\.0 |[A-Z]+ sips?:).*?)\n(?=\d{4}-\d\d-\d\d )"
        found = re.finditer(start + message, text, re.DOTALL)
        return [Message(each[2].rstrip("\n"), sent=each[1] == "message sent to") for each in found]

    def waitTalking(self, number: int = 1) -> None:
        """Wait until its call of that number is answered, and speak."""
        self.waitFor(lambda: self.states().count("StreamsRunning") >= number, 10, f"talk: {self.states()}")
        self.command(f"play {self._voice}")

    def waitEndOfCall(self, number: int = 1) -> None:
        """Wait until its call of that number is over."""
        self.waitFor(
            lambda: self.states().count("Released") >= number, 10, f"end of the call: {self.states()}"
        )
