"""
The carrier's side of TLS, with all that can be wrong with it.

Contexts are built with pyOpenSSL directly: Twisted's refuse, rightly, what old servers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from skypetrunk.lab.authority import Identity
from skypetrunk.net.certificates import loadOwnCertificate

__all__ = ["CLIENT_CERTIFICATE", "KEY_EXCHANGES", "VERSIONS", "ServerContexts", "serverContext"]

VERSIONS = {
    "any": (SSL.TLS1_2_VERSION, 0),
    "1.0": (SSL.TLS1_VERSION, SSL.TLS1_VERSION),
    "1.1": (SSL.TLS1_1_VERSION, SSL.TLS1_1_VERSION),
    "1.2": (SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION),
    "1.3": (SSL.TLS1_3_VERSION, SSL.TLS1_3_VERSION),
}
"""Lowest and highest version (0: whatever there is), by name."""

KEY_EXCHANGES = {
    "any": "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:kRSA+AES",
    "ecdhe": "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES",
    "rsa": "kRSA+AES",
}
"""Cipher suites up to TLS 1.2, by key exchange."""

CLIENT_CERTIFICATE = ("off", "optional", "required")


def serverContext(
    identity: Identity,
    *,
    version: str = "any",
    keyExchange: str = "any",
    ciphers: str | None = None,
    clientCertificate: str = "off",
    clientRoots: bytes = b"",
    staple: Callable[[], bytes] | None = None,
) -> SSL.Context:
    """
    @param version: a key of L{VERSIONS}.
    @param keyExchange: a key of L{KEY_EXCHANGES}; with C{"rsa"} TLS 1.3, which has none, is off.
    @param ciphers: OpenSSL's string for TLS 1.2 instead.
    @param clientCertificate: one of L{CLIENT_CERTIFICATE}.
    @param clientRoots: PEM: who issues those.
    @param staple: gives an OCSP response, DER, or nothing; OpenSSL sends none that it cannot read.
    @raise SSL.Error: C{ciphers} is nothing that OpenSSL knows.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    lowest, highest = VERSIONS[version]
    if keyExchange == "rsa" and not highest:
        highest = SSL.TLS1_2_VERSION
    context.set_min_proto_version(lowest)
    context.set_max_proto_version(highest)
    # Level 0: SHA-1 in the signatures of TLS 1.0 and 1.1, and keys of 1024 bits
    context.set_cipher_list(f"{ciphers or KEY_EXCHANGES[keyExchange]}:@SECLEVEL=0".encode("ascii"))
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    # Every handshake is a whole one, with the certificate in it
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    own = loadOwnCertificate(b"".join(identity.chain), identity.key)
    context.use_certificate(own.certificate)
    context.use_privatekey(own.key)
    for each in own.chain:
        context.add_extra_chain_cert(each)
    if clientCertificate != "off":
        _ask(context, clientRoots, clientCertificate == "required")
    if staple is not None:
        context.set_ocsp_server_callback(lambda connection, data: staple())
    return context


def _ask(context: SSL.Context, roots: bytes, must: bool) -> None:
    """Have clients asked for a certificate (RFC 5246 section 7.4.4)."""
    store = context.get_cert_store()
    assert store is not None
    certificates = [crypto.X509.from_cryptography(each) for each in x509.load_pem_x509_certificates(roots)]
    for each in certificates:
        store.add_cert(each)
    context.set_client_ca_list([each.get_subject() for each in certificates])
    mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if must else 0)
    context.set_verify(mode, lambda connection, certificate, number, depth, ok: bool(ok))


@implementer(IOpenSSLServerConnectionCreator)
class ServerContexts:
    """
    Gives each new connection what is in force then.

    @ivar context: that.
    """

    def __init__(self) -> None:
        self.context: Any = None

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """See L{IOpenSSLServerConnectionCreator}."""
        return SSL.Connection(self.context, None)
