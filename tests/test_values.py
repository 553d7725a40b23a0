"""Tests of L{skypetrunk.values}."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.values import quick


class Base:
    """Has no slots of its own."""

    __slots__ = ()

    def told(self) -> str:
        """A method."""
        return "told"


@quick
@dataclass(frozen=True, slots=True)
class Point(Base):
    """A value."""

    x: int
    y: int = 2
    kind: str = "point"
    more: tuple[int, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("left of all")


@dataclass(frozen=True, slots=True)
class Deep(Point):
    """One with a field more, made as ever."""

    z: int = 3


class QuickTests(SynchronousTestCase):
    """A quick value is one like the others."""

    def test_made(self) -> None:
        """By position, by name, and with defaults; it has the methods of its base."""
        for made in (Point(1, 5, "point", (3,)), Point(y=5, x=1, more=(3,))):
            self.assertIs(type(made), Point)
            self.assertEqual((made.x, made.y, made.kind, made.more), (1, 5, "point", (3,)))
        self.assertEqual(repr(Point(1)), "Point(x=1, y=2, kind='point', more=())")
        self.assertEqual(Point(1).told(), "told")

    def test_frozen(self) -> None:
        """Nothing of it can be changed."""
        made = Point(1)
        self.assertRaises(FrozenInstanceError, setattr, made, "x", 2)
        self.assertRaises(FrozenInstanceError, delattr, made, "x")
        self.assertRaises((AttributeError, TypeError), setattr, made, "other", 2)

    def test_compared(self) -> None:
        """As a dataclass compares."""
        self.assertEqual(Point(1), Point(1, more=(4,)))
        self.assertNotEqual(Point(1), Point(2))
        self.assertEqual(hash(Point(1)), hash(Point(1, more=(4,))))

    def test_copied(self) -> None:
        """Changed, copied and pickled it is one again."""
        made = replace(Point(1), y=9)
        for each in (made, copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            self.assertIs(type(each), Point)
            self.assertEqual(each, Point(1, 9))
            self.assertRaises(FrozenInstanceError, setattr, each, "x", 2)

    def test_refused(self) -> None:
        """What the constructor, or the check behind it, does not take."""
        anything: Any = Point
        for arguments in ((), (1, 2, "", (), 5)):
            self.assertRaises(TypeError, anything, *arguments)
        self.assertRaises(TypeError, anything, 1, other=2)
        self.assertRaises(ValueError, Point, -1)

    def test_derived(self) -> None:
        """A dataclass made of it has a constructor of its own."""
        made = Deep(1, z=5)
        self.assertIs(type(made), Deep)
        self.assertEqual((made.x, made.y, made.z), (1, 2, 5))
        self.assertRaises(ValueError, Deep, -1)

    def test_inherited(self) -> None:
        """A class made of it that is no dataclass has its constructor, with slots and without."""

        class Plain(Point):
            """Has a dictionary."""

        class Same(Point):
            """Is laid out as the value itself."""

            __slots__ = ()

        for kind in (Plain, Same):
            made = kind(1, kind="other")
            self.assertIs(type(made), kind)
            self.assertEqual((made.x, made.y, made.kind, made.more), (1, 2, "other", ()))
            self.assertRaises(FrozenInstanceError, setattr, made, "x", 2)
            self.assertRaises(ValueError, kind, -1)

    def test_unfit(self) -> None:
        """Slots of a base, none at all, and fields that are made or left out."""

        @dataclass(frozen=True)
        class Slotless:
            x: int

        @dataclass(frozen=True, slots=True)
        class Made:
            x: list[int] = field(default_factory=list)

        @dataclass(frozen=True, slots=True)
        class Later:
            x: int = field(init=False)

        @dataclass(frozen=True, slots=True, kw_only=True)
        class Told:
            x: int

        for kind in (Slotless, Made, Later, Told, Deep):
            self.assertRaises(TypeError, quick, kind)
