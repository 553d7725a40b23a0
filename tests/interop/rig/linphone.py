"""linphonec as a phone of the PBX: UDP and RTP in clear, with all the codecs it has."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.rig.audio import sine, writeWAV
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program, render


class Linphone(Peer):
    """
    A phone with a WAV file for a voice and another one for an ear; it answers by itself.

    @ivar address: its literal address, in signalling and media.
    @ivar port: its SIP port for UDP.
    @ivar mediaPorts: its RTP and RTCP ports.
    @ivar recording: what it heard, in its last call.
    """

    def __init__(self, scratch: Path, number: str, tone: int) -> None:
        """
        @param number: its user name.
        @param tone: what it says, in Hz.
        """
        super().__init__(scratch, "linphone")
        self.address = host(34)
        self.port = takePorts(self.address)
        first = takePorts(self.address, 2)
        self.mediaPorts = range(first, first + 2)
        self.recording = scratch / "linphone-heard.wav"
        self._trace = scratch / "linphone.trace"
        self._voice = scratch / "linphone-says.wav"
        writeWAV(self._voice, sine(tone, 10))
        self._home = scratch / "linphone-home"
        (self._home / ".local/share/linphone").mkdir(parents=True)
        # The number first: what stands beside the address would look like the end of another name.
        values = {"NUMBER": number, "ADDRESS": self.address, "PORT": self.port, "RTP": first}
        render("linphonerc.in", scratch / "linphonerc", values)

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.launch(
            [program("stdbuf"), "-oL", program("linphonec"), "-a", "-c", str(self.scratch / "linphonerc")]
            + ["-d", "6", "-l", str(self._trace)],
            environment={"HOME": str(self._home)},
            input=True,
        )
        self.waitFor(lambda: listening("udp", self.address, self.port), 15, "listen")
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

    def waitTalking(self) -> None:
        """Wait until its call is answered, and speak."""
        self.waitFor(lambda: "StreamsRunning" in self.states(), 10, f"talk: {self.states()}")
        self.command(f"play {self._voice}")

    def waitEndOfCall(self) -> None:
        """Wait until its call is over."""
        self.waitFor(lambda: "Released" in self.states(), 10, f"end of the call: {self.states()}")
