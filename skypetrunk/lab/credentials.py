"""
What the carrier shows of itself in the handshake, and what others say of it: CA, certificate, OCSP, CRL.

All of it is made anew when a switch asks for another.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from twisted.internet.interfaces import IListeningPort

from skypetrunk.lab.authority import Authority, Identity, writePrivately
from skypetrunk.lab.leaves import carrierIdentity
from skypetrunk.lab.ports import closePorts, portNumber
from skypetrunk.lab.revocation import OCSPResource, ocspAnswer, ocspSite, revocationLists
from skypetrunk.lab.settings import LabSettings
from skypetrunk.lab.tls import ServerContexts, serverContext

__all__ = ["Credentials"]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Credentials:
    """
    One CA, and the carrier's certificate of the moment.

    @ivar authority: the throw-away CA.
    @ivar identity: the carrier's certificate; known once L{listen} was called.
    @ivar contexts: TLS for new connections.
    @ivar responder: answers OCSP requests.
    @ivar port: its port.
    """

    identity: Identity
    _leaf: x509.Certificate

    def __init__(self, reactor: Any, settings: LabSettings) -> None:
        self.authority = Authority(_now())
        self.contexts = ServerContexts()
        self.responder = OCSPResource(self._ocspAnswer)
        self.port = settings.ocspPort
        self._reactor = reactor
        self._settings = settings
        self._ports: list[IListeningPort] = []
        # All of this run, by serial number
        self._leaves: dict[int, x509.Certificate] = {}
        self._issuers: dict[int, x509.Certificate] = {}
        directory = settings.directory
        self.caFile = directory / "ca.pem"
        self.clientFiles = directory / "client.pem", directory / "client.key"
        self.revocationFile = directory / "crl.pem"

    def listen(self) -> None:
        """
        Write the files and bind the responder.

        @raise CannotListenError: the port is in use.
        @raise OSError: a file cannot be written.
        """
        settings = self._settings
        writePrivately(self.caFile, self.authority.rootPEM)
        self.issueClient(settings)
        site = ocspSite(self.responder)
        port = self._reactor.listenTCP(settings.ocspPort, site, interface=settings.address)
        self._ports.append(port)
        self.port = portNumber(port)

    def issueClient(self, settings: LabSettings) -> None:
        """Write a certificate for the trunk to show: as a client, and where the carrier calls in."""
        account = next(iter(settings.carrier.accounts), "client")
        names = [f"pbx.{settings.carrier.domain}"]
        if settings.callIn is not None:
            names += [settings.callIn, f"sip:{settings.callIn}"]
        client = self.authority.issue(account, names, bits=0)
        writePrivately(self.clientFiles[0], b"".join(client.chain))
        writePrivately(self.clientFiles[1], client.key)

    async def stop(self) -> None:
        """Answer no more."""
        ports, self._ports = self._ports, []
        await closePorts(ports)

    def certify(self, settings: LabSettings, targets: Sequence[str]) -> None:
        """
        Make a new certificate, and secure with it.

        @param targets: names of the nodes.
        """
        host = f"[{settings.address}]" if ":" in settings.address else settings.address
        url = None if settings.ocsp == "no-url" else f"http://{host}:{self.port}/"
        self.authority.certify(url)
        domain, (first, *others) = settings.carrier.domain, targets
        self.identity = carrierIdentity(self.authority, domain, first, _now(), settings.fault, url, *others)
        self._leaf = x509.load_pem_x509_certificate(self.identity.chain[0])
        self._leaves[self._leaf.serial_number] = self._leaf
        issuer = self.authority.issuer
        self._issuers[issuer.serial_number] = issuer
        self.secure(settings)

    def secure(self, settings: LabSettings) -> None:
        """Take up switches for the same certificate: for connections and questions to come."""
        self._settings = settings
        self.contexts.context = serverContext(
            self.identity,
            version=settings.tls,
            keyExchange=settings.keyExchange,
            ciphers=settings.ciphers,
            clientCertificate=settings.clientCertificate,
            clientRoots=self.authority.rootPEM,
            staple=self._staple if settings.staple else None,
        )
        gone = {"revoked": self._leaves, "ca-revoked": self._issuers}.get(settings.ocsp, {})
        writePrivately(self.revocationFile, revocationLists(self.authority, [*gone.values()], _now()))

    def _staple(self) -> bytes:
        """For a handshake; empty for none."""
        return self._ocspAnswer(self._leaf.serial_number) or b""

    def _ocspAnswer(self, serial: int) -> bytes | None:
        certificate, answer = self._leaf, self._settings.ocsp
        if serial in self._issuers:
            # The switch is about the carrier's certificate; what is about the responder holds here too
            certificate = self._issuers[serial]
            answer = {"ca-revoked": "revoked", "revoked": "good", "unknown": "good"}.get(answer, answer)
        elif serial in self._leaves:
            certificate = self._leaves[serial]
            answer = "good" if answer == "ca-revoked" else answer
        else:
            answer = "try-later"
        return ocspAnswer(self.authority, certificate, answer, _now())
