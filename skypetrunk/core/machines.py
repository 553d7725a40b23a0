"""
Machines with an indexed transition table.
"""

from __future__ import annotations

from typing import Any, TypeVar

Machine = TypeVar("Machine")


def indexed(machine: Machine) -> Machine:
    """
    Give C{machine} (an automat C{TypeMachine}) an indexed transition table.

    Automat 25 finds each transition by comparing all of them, which costs 5 to 10
    microseconds per input with tables of the size of ours.  The machine of a release
    that is built otherwise is returned as it is.
    """
    automaton: Any = getattr(machine, "__automat_automaton__", None)
    search = getattr(automaton, "outputForInput", None)
    transitions = getattr(automaton, "allTransitions", None)
    if search is None or transitions is None:
        return machine
    # By identity: the states live as long as the machine, and their own hash walks through all fields.
    table: dict[tuple[int, str], tuple[Any, Any]] = {
        (id(state), symbol): (target, outputs) for state, symbol, target, outputs in transitions()
    }

    def outputForInput(state: object, symbol: str) -> Any:
        found = table.get((id(state), symbol))
        return found if found is not None else search(state, symbol)

    automaton.outputForInput = outputForInput
    return machine
