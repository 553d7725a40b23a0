"""Hypothesis strategies for SIP values: whatever our own constructors accept."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from skypetrunk.wire.grammar import Parameters, escape, quote
from skypetrunk.wire.headers import CSeq, NameAddr, Via
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.uri import SIPURI, URI, OpaqueURI, TelURI


def _asRead(text: str) -> str:
    """C{text} as it is read back: octets that complete each other are one character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


_octets = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"])
#: Any text that has octets, also octets that are no UTF-8.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text(st.one_of(st.characters(max_codepoint=127), _octets), max_size=20).map(_asRead),
)
#: The same within one line.
LINES = TEXTS.map(lambda text: _asRead(text.replace("\r", "").replace("\n", "")))
TOKENS = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=12)
PORTS = st.none() | st.integers(0, 65535)
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9\-_]{1,8}){0,3}", fullmatch=True),
    st.ip_addresses().map(str),
)
_uriValues = st.text(string.ascii_letters + string.digits + "-_.!~*'()[]/:&+$%", min_size=1, max_size=12)


def parameters() -> st.SearchStrategy[Parameters]:
    """Parameters of a header value."""
    values = st.one_of(st.none(), TOKENS, HOSTS, LINES.map(quote))
    return st.lists(st.tuples(TOKENS, values), max_size=4).map(Parameters)


def sipURIs() -> st.SearchStrategy[SIPURI]:
    """SIP and SIPS URIs."""
    users = TEXTS.filter(bool).map(escape)
    headers = st.tuples(TOKENS, TEXTS.map(lambda text: escape(text, safe="")))
    return st.builds(
        lambda scheme, userinfo, host, port, params, headers: SIPURI(
            scheme, userinfo[0], userinfo[1], host, port, params, headers
        ),
        st.sampled_from(["sip", "sips"]),
        st.one_of(st.just((None, None)), st.tuples(users, st.none() | TEXTS.map(escape))),
        HOSTS,
        PORTS,
        st.lists(st.tuples(TOKENS, st.none() | _uriValues), max_size=3).map(Parameters),
        st.lists(headers, max_size=2).map(tuple),
    )


def uris() -> st.SearchStrategy[URI]:
    """URIs of all kinds."""
    return st.one_of(
        sipURIs(),
        st.builds(TelURI, st.from_regex(r"\+?[0-9.()\-]{1,15}", fullmatch=True)),
        st.builds(
            OpaqueURI,
            st.from_regex(r"[a-z][a-z0-9+.\-]{0,8}", fullmatch=True).filter(
                lambda scheme: scheme not in ("sip", "sips", "tel")
            ),
            st.text(string.ascii_letters + string.digits + "/:;,?@=", min_size=1, max_size=20),
        ),
    )


def nameAddrs() -> st.SearchStrategy[NameAddr]:
    """Addresses."""
    return st.builds(NameAddr, st.none() | LINES, uris(), parameters())


def vias() -> st.SearchStrategy[Via]:
    """Via values."""
    transports = st.sampled_from(["UDP", "TCP", "TLS", "TLS-SCTP"])
    return st.builds(Via, transports, HOSTS, PORTS, parameters())


_values = LINES.map(lambda text: text.strip(" \t"))


def _headers() -> st.SearchStrategy[list[Header]]:
    """Headers that no typed property reads."""
    names = st.one_of(TOKENS.map("X-".__add__), st.sampled_from(["Subject", "s", "ALLOW", "User-Agent"]))
    return st.lists(st.builds(Header, names, _values), max_size=4)


def _mandatory(method: str) -> st.SearchStrategy[list[Header]]:
    def build(
        hops: list[Via], caller: NameAddr, called: NameAddr, call: str, number: int, contacts: list[NameAddr]
    ) -> list[Header]:
        headers = [Header("v" if at % 2 else "Via", str(via)) for at, via in enumerate(hops)]
        headers += [Header("From", str(caller)), Header("t", str(called)), Header("call-ID", call)]
        headers.append(Header("CSeq", str(CSeq(number, method))))
        if contacts:
            headers.append(Header("m", ", ".join(map(str, contacts))))
        return headers

    return st.builds(
        build,
        st.lists(vias(), min_size=1, max_size=3),
        nameAddrs(),
        nameAddrs(),
        TOKENS,
        st.integers(0, 2**32 - 1),
        st.lists(nameAddrs(), max_size=2),
    )


def messages() -> st.SearchStrategy[Request | Response]:
    """Valid messages, whose lines stand in any order."""

    def build(
        method: str, uri: str | None, status: int, reason: str, body: bytes
    ) -> st.SearchStrategy[Request | Response]:
        lines = st.builds(list.__add__, _mandatory(method), _headers()).flatmap(st.permutations).map(tuple)
        if uri is not None:
            return lines.map(lambda headers: Request(method, uri, headers, body))
        return lines.map(lambda headers: Response(status, reason, headers, body))

    return st.tuples(
        TOKENS, st.none() | uris().map(str), st.integers(100, 699), LINES, st.binary(max_size=40)
    ).flatmap(lambda chosen: build(*chosen))
