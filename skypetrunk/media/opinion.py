"""
What listeners would think of a stream, by the E-model (ITU-T G.107), from its codec and loss.

Echo and the telephones themselves are not known here and stand at the model's own values.  Without delay it
is an opinion of listening, with it one of conversing.  Receivers are taken to conceal lost G.711 packets, as
all do today.
"""

from __future__ import annotations

from math import exp, log2, log10, sqrt

BEST = 93.2
"""The rating when all is as the model supposes (G.107, the default values)."""

IMPAIRMENTS = {"PCMU": (0.0, 25.1), "PCMA": (0.0, 25.1), "G729": (11.0, 19.0)}
"""
Ie and Bpl by codec (G.113 appendix I): the damage of the codec, and how well it bears loss.  Wideband codecs
are judged on another scale (G.107.1), and have no figures here.
"""


ENDS = 0.04
"""Seconds that sound takes beside its way: a packet of 20 ms is filled, and one waits to be played."""

_TELR, _WEPL, _NO, _RLR, _RO = 65.0, 110.0, -61.18, 2.0, 94.77
"""G.107 table 2 and annex A: the default values, and what follows from them for noise and Ro."""


def delayImpairment(oneWay: float) -> float:
    """
    Id of G.107 section 3.4, less what it is without delay: talker echo, listener echo, and being late.

    @param oneWay: from mouth to ear, in seconds; the echoes take the same way back.
    """
    return _delayImpairment(1000 * oneWay) - _delayImpairment(0.0)


def _delayImpairment(ms: float) -> float:
    telr = _TELR - 40 * log10((1 + ms / 10) / (1 + ms / 150)) + 6 * exp(-0.3 * ms * ms)
    apart = -1.5 * (_NO - _RLR) - (80 + 2.5 * (telr - 14))
    talker = (apart / 2 + sqrt(apart * apart / 4 + 100) - 1) * (1 - exp(-ms)) if ms >= 1 else 0.0
    apart = _RO - 10.5 * (_WEPL + 7) * (2 * ms + 1) ** -0.25
    listener: float = apart / 2 + sqrt(apart * apart / 4 + 169)
    x = log2(ms / 100) if ms > 100 else 0.0
    late: float = 25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
    return talker + listener + late


def burstRatio(loss: float, run: float) -> float:
    """
    BurstR of G.107 section 3.5: how long losses are, beside those of chance, which have 1/(1 - loss) packets.

    @param loss: the part of the packets that was lost, 0 to 1.
    @param run: how many were lost in a row, in the mean.
    @return: 1 at least: what is spread more evenly than chance would is heard as if it were not.
    """
    return max(1.0, run * (1 - loss))


def impairment(codec: str, loss: float, bursts: float = 1.0) -> float | None:
    """
    Ie-eff of G.107 section 3.5; C{None} for a codec without figures.

    @param codec: the name in SDP.
    @param loss: the part of the packets that was lost, 0 to 1.
    @param bursts: see L{burstRatio}.
    """
    figures = IMPAIRMENTS.get(codec.upper())
    if figures is None:
        return None
    ofCodec, robustness = figures
    percent = 100 * loss
    return ofCodec + (95 - ofCodec) * percent / (percent / bursts + robustness)


def opinion(rating: float) -> float:
    """The mean opinion score of a rating R (G.107 annex B), 1 to 4.5."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    # Just above 0 the polynomial falls below 1.
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)


def score(
    codec: str, received: int, lost: int, runs: int = 0, roundTrip: float | None = None
) -> float | None:
    """
    The mean opinion score of a stream, to two places; C{None} without packets or figures of the codec.

    @param received: packets; C{lost}: those that did not come, C{runs}: in so many runs, 0 where that is not
        known.
    @param roundTrip: seconds on the way there and back: the score of conversing; C{None}: that of listening.
    """
    if received <= 0:
        return None
    loss = lost / (lost + received)
    damage = impairment(codec, loss, burstRatio(loss, lost / runs) if runs else 1.0)
    if damage is None:
        return None
    late = 0.0 if roundTrip is None else delayImpairment(roundTrip / 2 + ENDS)
    return round(opinion(BEST - damage - late), 2)
