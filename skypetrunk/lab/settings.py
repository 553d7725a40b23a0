"""
What a tester can switch at the practice carrier, and what each switch is by default.

The switches and their values are those of the Skype Connect facts, section 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from skypetrunk.lab.numbers import FORMS
from skypetrunk.lab.session import SRTPPolicy
from skypetrunk.wire.secret import Secret

__all__ = ["CarrierSettings"]


@dataclass(frozen=True, slots=True)
class CarrierSettings:
    """
    One carrier.

    @ivar accounts: passwords, by SIP user name.
    @ivar domain: of the service: registrar, digest realm, From host of its calls.
    @ivar authentication: C{"registration"}, or C{"ip"}: nobody registers or is challenged.
    @ivar challengeAll: challenge every request, else INVITE and REGISTER only.
    @ivar proxyChallenge: challenge all but REGISTER with 407, else with 401.
    @ivar algorithms: of the digest challenges, in order.
    @ivar qop: ask for C{qop=auth}.
    @ivar nonceLifetime: seconds until a nonce is stale.
    @ivar nonceOnce: a nonce is stale once it was used.
    @ivar granted: expiry granted, seconds; C{None}: 45 behind NAT, else 3600.
    @ivar minimumExpires: shorter registrations are refused with 423.
    @ivar strictFrom: calls whose From user is not the account are refused with 403.
    @ivar forms: number forms that are taken.
    @ivar srtp: what is wanted of media.
    @ivar maddr: Contact as in the 2011 trace, with the domain as host and the node in C{maddr}; else
        with the node's address as host.
    @ivar channels: calls at once; one fifth more for calls to the PBX.
    @ivar answeringTone: Hz, of the tone test number and of ordinary numbers.
    @ivar callingTone: Hz, of calls to the PBX.
    @ivar ringing: seconds until a test number answers.
    @ivar patience: seconds until a call nobody answers is given up.
    """

    accounts: Mapping[str, Secret] = field(repr=False)
    domain: str = "sip.skype.com"
    authentication: str = "registration"
    challengeAll: bool = True
    proxyChallenge: bool = True
    algorithms: tuple[str, ...] = ("MD5",)
    qop: bool = True
    nonceLifetime: float = 300.0
    nonceOnce: bool = False
    granted: int | None = None
    minimumExpires: int = 0
    strictFrom: bool = True
    forms: tuple[str, ...] = tuple(FORMS)
    srtp: SRTPPolicy = field(default_factory=SRTPPolicy)
    maddr: bool = True
    channels: int = 30
    answeringTone: int = 650
    callingTone: int = 950
    ringing: float = 0.5
    patience: float = 60.0
