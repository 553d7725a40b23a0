"""A trunk as the calls see it, by its configuration."""

from __future__ import annotations

from collections.abc import Callable

from skypetrunk.core.fax_stream import PASS
from skypetrunk.core.mikey import MIKEY_KEYS, MIKEYPeer
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.interfaces import IChannelFinder, ICredentials, INumberPlan
from skypetrunk.service.settings import TrunkConfiguration


def trunkSide(
    configuration: TrunkConfiguration,
    finder: IChannelFinder,
    numbers: INumberPlan,
    account: ICredentials,
    seconds: Callable[[], float],
) -> TrunkSide:
    """
    What calls over the trunk are to be; how it is reached comes later.

    @param finder: the way to its servers.
    @param seconds: since the epoch.
    """
    profile, media = configuration.profile, configuration.media
    side = TrunkSide(
        configuration.name,
        finder,
        configuration.domain,
        configuration.username,
        profile,
        numbers,
        account,
        media.suites,
        configuration.limits.calls,
    )
    if media.keys == MIKEY_KEYS:
        side.mikey = MIKEYPeer(media.mikeyKey, seconds)
    side.burst = configuration.limits.burst
    side.sessionExpires = profile.sessionExpires
    side.leastExpires = profile.leastExpires
    side.redirect = configuration.redirect
    side.redirectAllow = configuration.redirectAllow
    side.mediaPath = media.path
    side.silence = media.silence
    side.codecs = media.codecs
    side.fax = media.t38 == PASS
    side.keys = configuration.dtmf
    side.transfer = configuration.transfer
    side.ownTransfer = configuration.carrierTransfer
    return side


__all__ = ["trunkSide"]
