"""
Codecs by what they are, whatever number a description gives them (RFC 3551, RFC 8866 section 6.6).
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CODECS", "COMPANIONS", "EVENTS", "STATIC", "clockRate", "encodingOf", "isPayloadType", "nameOf"]

STATIC: Mapping[int, str] = {
    0: "pcmu/8000",
    3: "gsm/8000",
    4: "g723/8000",
    5: "dvi4/8000",
    6: "dvi4/16000",
    7: "lpc/8000",
    8: "pcma/8000",
    # 16 kHz of sound; its time stamps count 8000, by an error that was kept (RFC 3551 section 4.5.2).
    9: "g722/8000",
    10: "l16/44100/2",
    11: "l16/44100",
    12: "qcelp/8000",
    13: "cn/8000",
    14: "mpa/90000",
    15: "g728/8000",
    16: "dvi4/11025",
    17: "dvi4/22050",
    18: "g729/8000",
}
"""Payload types that mean something without C{a=rtpmap} (RFC 3551 section 6)."""

CODECS = (
    "PCMA",
    "PCMU",
    "G722",
    "G729",
    "opus",
    "AMR",
    "AMR-WB",
    "EVS",
    "CLEARMODE",
    "G719",
    "G7221",
    "G723",
    "G726-16",
    "G726-24",
    "G726-32",
    "G726-40",
    "G728",
    "GSM",
    "GSM-EFR",
    "iLBC",
    "L16",
    "SILK",
    "speex",
)
"""Names that telephones and carriers use, as registered."""

EVENTS = "telephone-event"
COMPANIONS = (EVENTS, "cn")
"""What goes with a codec of the same clock rate and is none."""


def isPayloadType(number: str) -> bool:
    """Is it a payload type number of RTP: 7 bits?"""
    return number.isascii() and number.isdecimal() and len(number) <= 3 and int(number) < 128


def encodingOf(number: int, rtpmap: str = "") -> str:
    """
    What a payload type means, always spelled in the same way: C{"pcma/8000"}, C{"opus/48000/2"}.

    @param rtpmap: what C{a=rtpmap} says of it; empty: nothing.
    @return: C{"?"} and the number where nobody says what it is: then it is the same as itself only.
    """
    parts = rtpmap.strip().lower().split("/")
    if not parts[0]:
        return STATIC.get(number, f"?{number}")
    if len(parts) < 2 or not parts[1].strip():
        # The clock rate is not optional, but left out by some for what is static.
        known = STATIC.get(number, "")
        return known if nameOf(known) == parts[0] else parts[0]
    # One channel may be said or left out (RFC 8866 section 6.6).
    name, rate, *channels = (part.strip() for part in parts)
    return "/".join([name, rate, *(each for each in channels[:1] if each not in ("", "1"))])


def nameOf(encoding: str) -> str:
    """The name in C{encoding}, which L{encodingOf} gave."""
    return encoding.partition("/")[0]


def clockRate(encoding: str) -> int:
    """Units of its time stamps in a second; 0 where nobody says."""
    rate = encoding.partition("/")[2].partition("/")[0]
    return int(rate) if rate.isascii() and rate.isdecimal() and len(rate) <= 6 else 0
