"""
Automat's machines, with a faster way from an input to what it does.

The tables are Automat's, and so is the checking when they are built.  What changes is how an input is
looked up and run: Automat 25 compares all transitions and goes through seven calls, 5 to 10 microseconds
with tables of the size of ours; here it is one look into the dictionary that a state is, and two calls.  A
call of the PBX has some thirty inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from automat import NoTransition

Machine = TypeVar("Machine")


class _Transition(NamedTuple):
    """
    What one input does in one state.

    @ivar enter: makes the data of the next state, if it has any of its own.
    @ivar act: what is done, if anything.
    @ivar withData: it gets the data of the state that is left.
    @ivar forget: the next state has no data, and what the last one had is let go.
    @ivar last: in the next state no input does anything, and the core is let go: core and machine refer to
        each other, and would wait for the garbage collector.
    """

    target: _State
    enter: Callable[..., Any] | None
    act: Callable[..., Any] | None
    withData: bool
    forget: bool
    last: bool = False


class _State(dict[str, _Transition]):
    """
    What each input does in one state; one that is not there is an error.

    @ivar original: Automat's.
    """

    __slots__ = ("original",)

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.original = original

    @property
    def still(self) -> bool:
        """No input leaves it, or does anything."""
        return all(each.target is self and each.enter is each.act is None for each in self.values())


class _Run:
    """A machine that runs.  A class made of this one has a method for each input."""

    __slots__ = ("__weakref__", "_busy", "_core", "_data", "_postponed", "_state")

    def __init__(self, core: Any, state: _State) -> None:
        self._core = core
        self._state = state
        self._data: Any = None
        self._busy = False
        self._postponed: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = None


def _input(name: str) -> Callable[..., None]:
    """The method for one input."""

    def implementation(self: _Run, *arguments: Any) -> None:
        if self._busy:
            # In the middle of another input, which is first brought to its end, as Automat does.
            if self._postponed is None:
                self._postponed = []
            self._postponed.append((implementation, arguments))
            return
        found = self._state.get(name)
        if found is None:
            raise NoTransition(self._state.original, name)
        self._state, enter, act, withData, forget, last = found
        data = self._data
        if forget:
            self._data = None
        if enter is None and act is None:
            if last:
                self._core = None
            return
        self._busy = True
        try:
            if enter is not None:
                self._data = enter(self, self._core, *arguments)
            if act is not None:
                if withData:
                    act(self, self._core, data, *arguments)
                else:
                    act(self, self._core, *arguments)
        finally:
            self._busy = False
            if last:
                self._core = None
            postponed, self._postponed = self._postponed, None
        if postponed is not None:
            for postponedInput, itsArguments in postponed:
                postponedInput(self, *itsArguments)

    implementation.__name__ = implementation.__qualname__ = name
    return implementation


class _Indexed:
    """Makes machines; what reads the tables finds them where Automat has them."""

    def __init__(self, machine: Any, made: type[_Run], states: Mapping[int, _State]) -> None:
        """@param states: by the identity of Automat's, which live as long as the machine."""
        self.__automat_automaton__ = machine.__automat_automaton__
        self.__automat_type__ = machine.__automat_type__
        self._made = made
        self._states = states
        self._initial = states[id(self.__automat_automaton__.initialState)]

    def __call__(
        self, core: Any, state: Any = None, dataFactory: Callable[[Any, Any], Any] | None = None
    ) -> _Run:
        """As the C{TypeMachine}."""
        running = self._made(core, self._initial if state is None else self._states[id(state)])
        if dataFactory is not None:
            # What the factory gives to the machine already waits until its state is complete.
            running._busy = True
            running._data = dataFactory(running, core)
            running._busy = False
            postponed, running._postponed = running._postponed, None
            for postponedInput, itsArguments in postponed or ():
                postponedInput(running, *itsArguments)
        return running


def _transition(target: _State, outputs: Any) -> _Transition:
    """@raise AttributeError: the outputs are not those of Automat 25."""
    enter = act = None
    withData = False
    for output in outputs:
        if hasattr(output, "dataFactory"):
            enter = output.dataFactory
        elif "returns.<locals>" in output.method.__qualname__ and output.method() is None:
            pass  # Automat's word for "nothing to do"
        else:
            act, withData = output.method, output.requiresData
    return _Transition(target, enter, act, withData, not hasattr(target.original, "factory"))


def indexed(machine: Machine) -> Machine:
    """
    C{machine} (an automat C{TypeMachine}) with inputs that are looked up in a table.

    Its inputs return nothing and take their arguments by position.  The machine of a release that is
    built otherwise is returned as it is.
    """
    try:
        names = [name for name in vars(machine.__automat_type__) if not name.startswith("_")]  # type: ignore[attr-defined]
        transitions = list(machine.__automat_automaton__.allTransitions())  # type: ignore[attr-defined]
        states = {id(each): _State(each) for state, _, target, _ in transitions for each in (state, target)}
        for state, symbol, target, outputs in transitions:
            states[id(state)][symbol] = _transition(states[id(target)], outputs)
    except AttributeError:
        return machine
    last = [state for state in states.values() if state.still]
    for table in states.values():
        for symbol, found in table.items():
            table[symbol] = found._replace(last=any(found.target is state for state in last))
    members: dict[str, Any] = {name: _input(name) for name in names}
    made = type("Running", (_Run,), {"__slots__": (), **members})
    return cast(Machine, _Indexed(machine, made, states))
