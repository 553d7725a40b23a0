"""The registrations of one trunk: one for each flow, of the same account and instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from skypetrunk.core.media_security import MediaSecurity
from skypetrunk.core.public_address import PublicAddress
from skypetrunk.core.registration import Account, Registration
from skypetrunk.interfaces import ICredentials, IRegistrationObserver, ITransactions
from skypetrunk.service.settings import TrunkConfiguration


class Register(Protocol):
    """Makes a registration."""

    def __call__(
        self,
        flow: int,
        observer: IRegistrationObserver,
        address: PublicAddress,
        security: MediaSecurity | None = None,
    ) -> Registration:
        """That of the flow with this number (RFC 5626 section 4.2)."""


def register(
    configuration: TrunkConfiguration,
    instance: str,
    clock: IReactorTime,
    transactions: ITransactions,
    credentials: ICredentials,
    token: Callable[[], str],
    chance: Callable[[], float],
) -> Register:
    """What makes those of one trunk; parameters as of L{skypetrunk.service.carrier.Carrier}."""

    def make(
        flow: int,
        observer: IRegistrationObserver,
        address: PublicAddress,
        security: MediaSecurity | None = None,
    ) -> Registration:
        account = Account(
            configuration.username,
            configuration.domain,
            configuration.profile.expires,
            instance=instance,
            outbound=_outbound(configuration, instance),
            flow=flow,
        )
        return Registration(
            clock, transactions, account, credentials, observer, token, chance, address, security=security
        )

    return make


def _outbound(configuration: TrunkConfiguration, instance: str) -> bool:
    return configuration.profile.outbound and bool(instance)


def keepsFlows(configuration: TrunkConfiguration, instance: str) -> bool:
    """May there be several?  What was agreed of media security belongs to one connection."""
    return _outbound(configuration, instance) and not configuration.profile.mediasec


def publicAddress(configuration: TrunkConfiguration) -> PublicAddress:
    """That of one flow."""
    return PublicAddress(learning=configuration.contactLearned, fixed=configuration.contact)


__all__ = ["Register", "keepsFlows", "publicAddress", "register"]
