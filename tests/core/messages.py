"""
Messages as peers write them, for the tests of the core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skypetrunk.core import client_machines, server_machines
from skypetrunk.wire.message import Request, Response, parseMessage, responseTo

VECTORS = Path(__file__).parent.parent / "vectors"


def outgoing(method: str = "INVITE", uri: str = "sip:2000@carrier.example", **more: str) -> Request:
    """A request of ours, before the transaction layer adds its Via.  C{Max_Forwards="1"} sets a header."""
    headers = [
        ("Max-Forwards", "70"),
        ("From", "<sip:1000@carrier.example>;tag=ours"),
        ("To", f"<{uri}>"),
        ("Call-ID", "call-1@198.51.100.1"),
        ("CSeq", f"7 {method}"),
        ("Contact", "<sip:1000@198.51.100.1:5060>"),
    ]
    request = Request(method, uri, tuple(headers))  # type: ignore[arg-type]
    for name, value in more.items():
        request = request.withHeader(name.replace("_", "-"), value)
    return request


def incoming(
    method: str = "INVITE",
    *,
    via: str = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpeer1",
    uri: str = "sip:1000@198.51.100.1",
    fromTag: str = ";tag=theirs",
    toTag: str = "",
    callID: str = "call-2@192.0.2.1",
    number: int = 1,
    cseq: str | None = None,
) -> Request:
    """A request from a peer, read from its octets."""
    text = (
        f"{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:3000@192.0.2.1>{fromTag}\r\n"
        f"To: <sip:1000@198.51.100.1>{toTag}\r\nCall-ID: {callID}\r\nCSeq: {cseq or f'{number} {method}'}\r\n"
        "Contact: <sip:3000@192.0.2.1:5060>\r\nContent-Length: 0\r\n\r\n"
    )
    message = parseMessage(text.encode())
    assert isinstance(message, Request)
    return message


def answer(request: Request, status: int, tag: str = "theirs", **more: str) -> Response:
    """A peer's response to C{request}."""
    response = responseTo(request, status, toTag=None if status == 100 else tag)
    for name, value in more.items():
        response = response.withHeader(name.replace("_", "-"), value)
    return response


def undecided(start: Any) -> list[tuple[str, str]]:
    """
    Pairs of state and input for which a machine has no transition.

    @param start: the C{TypeMachine}, or a function that closes over it.
    """
    candidates = [start, *(cell.cell_contents for cell in getattr(start, "__closure__", None) or ())]
    machine = next(each for each in candidates if hasattr(each, "__automat_automaton__"))
    automaton = machine.__automat_automaton__
    decided = {(state, symbol) for state, symbol, _, _ in automaton.allTransitions()}
    inputs = [name for name in vars(machine.__automat_type__) if not name.startswith("_")]
    return sorted(
        (state.name, symbol)
        for state in automaton.states()
        for symbol in inputs
        if (state, symbol) not in decided
    )


MACHINES = {
    "INVITE client": client_machines.startInvite,
    "other client": client_machines.startOther,
    "INVITE server": server_machines.startInvite,
    "other server": server_machines.startOther,
}
