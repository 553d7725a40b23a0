"""Evidence of a demonstration in which all went well, for tests that spoil parts of it."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

from skypetrunk.interfaces import DirectionStatistics, LegStatistics
from skypetrunk.lab.audio import ToneReport
from skypetrunk.net.handshake import SEEN, STEPS, HandshakeRecord, HandshakeStep, PeerCertificate
from skypetrunk.tools.evidence import CallEvidence, Evidence, Heard
from skypetrunk.tools.ladder import Rung, Section

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
SUITE = "AES_CM_128_HMAC_SHA1_80"

_FLIGHTS = {1: 1, **dict.fromkeys(range(2, 7), 2), **dict.fromkeys(range(7, 12), 3), 12: 4, 13: 4}


def direction(packets: int, secure: bool = True, **changes: Any) -> DirectionStatistics:
    """Counters of one direction."""
    return DirectionStatistics(
        packets, packets * 172, authenticated=packets if secure else 0, rtcpPackets=1, **changes
    )


def leg(received: int, sent: int, secure: bool = True) -> LegStatistics:
    """Counters of one leg."""
    return LegStatistics(
        "leg", secure, SUITE if secure else None, direction(received, secure), direction(sent, secure)
    )


def heard(outward: bool, frequency: int) -> Heard:
    """A tone that was recognised."""
    return Heard(outward, ToneReport(frequency, 200, 199, 0, 1), Path(f"at-{frequency}.wav"))


def call(title: str = "Call out", **changes: Any) -> CallEvidence:
    """A call in which all went well."""
    good = CallEvidence(
        title,
        seconds=4.0,
        endedBy="caller",
        trunk=(leg(200, 201, secure=False), leg(201, 203)),
        carrier=leg(203, 202),
        heard=(heard(True, 450), heard(False, 650)),
    )
    return replace(good, **changes)


def handshake() -> HandshakeRecord:
    """All 15 steps."""
    certificate = PeerCertificate(
        "CN=sip.skype.com",
        "CN=lab",
        ("URI sip:sip.skype.com", "DNS sip.skype.com"),
        NOW + datetime.timedelta(days=7),
    )
    steps = tuple(
        HandshakeStep(number, name, SEEN, _FLIGHTS.get(number), _FLIGHTS.get(number, 9) / 1000)
        for number, name, _ in STEPS
    )
    return HandshakeRecord(
        "sip.skype.com",
        "TLSv1.2",
        "ECDHE-RSA-AES128-GCM-SHA256",
        certificate,
        "URI sip:sip.skype.com",
        steps,
        "good, says the OCSP responder",
    )


def evidence(**changes: Any) -> Evidence:
    """A demonstration in which all went well."""
    good = Evidence(
        handshake(),
        "sip.skype.com",
        "tls:127.0.0.1:5061",
        Path("ca.pem"),
        ("sha256/AAAA",),
        3600,
        (Section("Registration", [Rung(1.0, True, True, "REGISTER")]),),
        (call(), call("Call in")),
        (),
        Path("demo.log"),
    )
    return replace(good, **changes)
