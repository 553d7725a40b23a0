"""
GStreamer and ffmpeg as what protects and unprotects SRTP: packets go in, and what comes out is their answer.

They take keys and no part in the signalling, and are not asked while the call lasts.
"""

from __future__ import annotations

import base64
import select
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program

#: GStreamer's names of cipher and authentication, by suite.  It has no AES-192.
GSTREAMER = {
    "AES_CM_128_HMAC_SHA1_80": ("aes-128-icm", "hmac-sha1-80"),
    "AES_CM_128_HMAC_SHA1_32": ("aes-128-icm", "hmac-sha1-32"),
    "AES_256_CM_HMAC_SHA1_80": ("aes-256-icm", "hmac-sha1-80"),
    "AES_256_CM_HMAC_SHA1_32": ("aes-256-icm", "hmac-sha1-32"),
    "AEAD_AES_128_GCM": ("aes-128-gcm", "null"),
    "AEAD_AES_256_GCM": ("aes-256-gcm", "null"),
}

_QUIET = 0.4


def gstreamerProtects(
    scratch: Path, packets: Sequence[bytes], keys: Mapping[str, bytes]
) -> dict[str, list[bytes]]:
    """The same RTP packets as SRTP of each suite, made by C{srtpenc}, all in one process."""
    caps = (
        "application/x-rtp,media=(string)audio,payload=(int)8,clock-rate=(int)8000,encoding-name=(string)PCMA"
    )
    elements = {}
    for suite, key in keys.items():
        cipher, tag = GSTREAMER[suite]
        both = f"rtp-cipher={cipher} rtp-auth={tag} rtcp-cipher={cipher} rtcp-auth={tag}"
        elements[suite] = (f"caps={caps}", f"srtpenc key={key.hex()} {both}")
    return _gstreamer(scratch, "protects", elements, dict.fromkeys(keys, packets))


def gstreamerUnprotects(
    scratch: Path, packets: Mapping[str, Sequence[bytes]], keys: Mapping[str, bytes]
) -> dict[str, list[bytes]]:
    """SRTP packets of each suite, from the first of a stream on, as C{srtpdec} reads them."""
    elements = {}
    for suite, key in keys.items():
        cipher, tag = GSTREAMER[suite]
        ssrc = int.from_bytes(packets[suite][0][8:12], "big")
        caps = "application/x-srtp,media=(string)audio,payload=(int)8,clock-rate=(int)8000"
        caps += f",encoding-name=(string)PCMA,ssrc=(uint){ssrc},roc=(uint)0,srtp-key=(buffer){key.hex()}"
        caps += f",srtp-cipher=(string){cipher},srtp-auth=(string){tag}"
        caps += f",srtcp-cipher=(string){cipher},srtcp-auth=(string){tag}"
        elements[suite] = (f"caps={caps}", "srtpdec")
    return _gstreamer(scratch, "unprotects", elements, packets)


def _gstreamer(
    scratch: Path,
    name: str,
    elements: Mapping[str, tuple[str, str]],
    packets: Mapping[str, Sequence[bytes]],
) -> dict[str, list[bytes]]:
    """One pipeline for each suite, from a port to one of ours."""
    address, ours = host(63), host(64)
    plugins = scratch / "gstreamer"
    plugins.mkdir(exist_ok=True)
    for each in ("udp", "srtp"):
        library = next(Path("/usr/lib").glob(f"*/gstreamer-1.0/libgst{each}.so"), None)
        assert library, f"GStreamer has no plugin {each}: see .ci/packages"
        if not (plugins / library.name).exists():
            (plugins / library.name).symlink_to(library)
    arguments = [program("gst-launch-1.0"), "-q"]
    ports: dict[str, int] = {}
    ears: dict[str, socket.socket] = {}
    try:
        for suite, (caps, element) in elements.items():
            ears[suite], ports[suite] = ear(ours), takePorts(address)
            arguments += ["udpsrc", f"address={address}", f"port={ports[suite]}", caps, "!"]
            arguments += [*element.split(), "!", "udpsink", f"host={ours}"]
            arguments += [f"port={ears[suite].getsockname()[1]}", "sync=false", "async=false"]
        peer = Peer(scratch, f"gstreamer-{name}")
        # Two plugins are enough, and nothing is to be written into the home directory.
        only = {"GST_PLUGIN_SYSTEM_PATH": str(plugins), "GST_REGISTRY": str(scratch / "gstreamer.registry")}
        peer.launch(arguments, environment={**only, "GST_REGISTRY_FORK": "no"})
        try:
            peer.waitFor(
                lambda: all(listening("udp", address, port) for port in ports.values()), 10, "listen"
            )
            return {
                suite: through(ears[suite], (address, ports[suite]), packets[suite]) for suite in elements
            }
        finally:
            peer.stop()
    finally:
        for opened in ears.values():
            opened.close()


def ffmpegProtects(scratch: Path, suite: str, key: bytes, sound: bytes, first: int) -> list[bytes]:
    """
    Sound, of G.711 A-law, as ffmpeg sends it by SRTP: packets of uneven length, as it cuts them.

    @param first: the first sequence number.
    """
    address = host(64)
    port = takePorts(address, 2)
    audio = scratch / f"ffmpeg-{port}.alaw"
    audio.write_bytes(sound)
    with ear(address, port) as receiver, ear(address, port + 1):  # nobody may refuse its RTCP
        peer = Peer(scratch, f"ffmpeg-{port}")
        peer.launch(
            [program("ffmpeg"), "-nostdin", "-v", "warning", "-f", "alaw", "-ar", "8000", "-ac", "1"]
            + ["-i", str(audio), "-c:a", "copy", "-f", "rtp", "-payload_type", "8", "-seq", str(first)]
            + ["-srtp_out_suite", suite, "-srtp_out_params", base64.b64encode(key).decode()]
            + [f"srtp://{address}:{port}?pkt_size=182"]
        )
        try:
            assert peer.waitEnded(10) == 0, peer.tail()
        finally:
            peer.stop()
        return drained(receiver)


def ear(address: str, port: int | None = None) -> socket.socket:
    """A socket that keeps what comes until somebody asks."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    opened.bind((address, takePorts(address) if port is None else port))
    opened.setblocking(False)
    return opened


def drained(one: socket.socket) -> list[bytes]:
    """What has come."""
    found = []
    while True:
        try:
            found.append(one.recv(4096))
        except BlockingIOError:
            return found


def through(one: socket.socket, place: tuple[str, int], packets: Iterable[bytes]) -> list[bytes]:
    """Send packets to somebody, and wait for as many; fewer when nothing comes any more."""
    found: list[bytes] = []
    sent = 0
    for packet in packets:
        one.sendto(packet, place)
        sent += 1
        found += drained(one)
        time.sleep(0.0005)
    while len(found) < sent and select.select([one], [], [], _QUIET)[0]:
        found += drained(one)
    return found
