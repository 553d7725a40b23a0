"""
The state machines of skypetrunk as text: read from the machines themselves, so that it cannot be out of date.

C{python docs/machines.py} prints tables in reStructuredText; with C{--dot}, graphs for Graphviz.
C{conf.py} puts the tables into the page on the machines.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from skypetrunk.core import (
    client_machines,
    invite_client,
    invite_server,
    keep_alive,
    leg_machine,
    options_ping,
    registration_machine,
    reliable_provisional,
    server_machines,
    session_timer,
)


class Machine(NamedTuple):
    """
    One machine.

    @ivar transitions: state, input, next state, and what is done, by name of the function; sorted.
    """

    title: str
    about: str
    initial: str
    transitions: tuple[tuple[str, str, str, str], ...]


def _read(title: str, about: str, found: Any) -> Machine:
    """
    @param found: an Automat machine, or the function that keeps one for itself.
    """
    initial = None
    if inspect.isfunction(found):
        kept = inspect.getclosurevars(found).nonlocals
        # Beside the machine such a function keeps the state that it starts in.
        (initial,) = (value for name, value in kept.items() if name != "machine")
        found = kept["machine"]
    automaton = found.__automat_automaton__
    transitions = sorted(
        (state.name, symbol, target.name, ", ".join(filter(None, map(_act, outputs))))
        for state, symbol, target, outputs in automaton.allTransitions()
    )
    return Machine(title, about, (initial or automaton.initialState).name, tuple(transitions))


def _act(output: Any) -> str:
    method = getattr(output, "method", None)
    # returns(None) is Automat's word for "nothing to do"; what has no method makes the next state's data.
    if method is None or "returns.<locals>" in method.__qualname__:
        return ""
    return str(method.__name__).lstrip("_")


def machines() -> tuple[Machine, ...]:
    """Every machine of the core."""
    return (
        _read(
            "Client transaction: INVITE",
            "RFC 3261 figure 5 with the Accepted state of RFC 6026.  Cancelling is Proceeding with a bound.",
            client_machines.startInvite,
        ),
        _read("Client transaction: other requests", "RFC 3261 figure 6.", client_machines.startOther),
        _read(
            "Server transaction: INVITE",
            "RFC 3261 figure 7 with the Accepted state of RFC 6026.",
            server_machines.startInvite,
        ),
        _read("Server transaction: other requests", "RFC 3261 figure 8.", server_machines.startOther),
        _read("Registration", "One account over one connection.", registration_machine.begin),
        _read(
            "INVITE sent",
            "From the search for the next hop to the last 2xx, over challenges.",
            invite_client._machine,
        ),
        _read("INVITE received", "Until its 2xx is acknowledged.", invite_server._machine),
        _read(
            "Reliable provisional responses",
            "Sent again until their PRACK (RFC 3262).",
            reliable_provisional._machine,
        ),
        _read("Pings", "Of one connection to a carrier (RFC 5626 section 4.4.1).", keep_alive._machine),
        _read("OPTIONS", "Proof that a carrier answers (RFC 3261 section 11).", options_ping._machine),
        _read("Session timer", "Of one leg (RFC 4028).", session_timer._machine),
        _read("Leg", "One dialog of a call, and how it ends.", leg_machine.startLeg),
    )


def tables() -> Iterator[str]:
    """Lines of reStructuredText: a section for each machine."""
    for machine in machines():
        ignored = [each for each in machine.transitions if each[0] == each[2] and not each[3]]
        yield from (machine.title, "-" * len(machine.title), "")
        yield f"{machine.about}  Begins in *{machine.initial}*."
        yield f"{len(ignored)} more pairs of state and input are decided: they change nothing."
        yield from ("", ".. list-table::", "   :header-rows: 1", "")
        yield from ("   * - State", "     - Input", "     - Next state", "     - What is done")
        for each in machine.transitions:
            if each not in ignored:
                state, symbol, target, act = each
                yield from (f"   * - {state}", f"     - {symbol}", f"     - {target}")
                yield f"     - {act}".rstrip()
        yield ""


def graphs() -> Iterator[str]:
    """Lines of DOT: a graph for each machine, without what changes nothing."""
    for machine in machines():
        yield f'digraph "{machine.title}" {{'
        yield f'  "{machine.initial}" [style=bold];'
        for state, symbol, target, act in machine.transitions:
            if state != target or act:
                yield f'  "{state}" -> "{target}" [label="{symbol}"];'
        yield "}"


if __name__ == "__main__":
    print("\n".join(graphs() if "--dot" in sys.argv[1:] else tables()))
