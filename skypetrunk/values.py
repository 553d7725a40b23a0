"""
Values that each call makes by the dozen: frozen, and made at the price of those that are not.

The constructor of a frozen dataclass sets each field by a call of C{object}'s method, which takes six times
as long as an assignment; that was one part in twenty-five of a call.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar

Value = TypeVar("Value")


def draftOf(kind: type) -> Any:
    """
    A class with the slots of C{kind}, a dataclass that has them of its own, which is not frozen.  What is
    made of it is filled, and becomes a C{kind} by its C{__class__}, with nothing checked: a quarter of what
    the constructor of a frozen dataclass costs.
    """
    return type(f"{kind.__name__} in the making", kind.__bases__, {"__slots__": vars(kind)["__slots__"]})


def quick(kind: type[Value]) -> type[Value]:
    """
    C{kind}, a frozen dataclass with slots, with a constructor that assigns: to a draft that has the same
    slots and is not frozen, and becomes a C{kind} when all is there.  A class made of it has the usual one.

    @raise TypeError: it has slots of a base, or a field that is not simply given.
    """
    slots: tuple[str, ...] = vars(kind).get("__slots__", ())
    known = fields(kind)  # type: ignore[arg-type]
    simple = all(each.init and not each.kw_only and each.default_factory is MISSING for each in known)
    if not simple or [each.name for each in known] != list(slots):
        raise TypeError(f"{kind.__name__} cannot be made quickly")
    given = ", ".join(slots)
    lines = [f"def __init__(self, {given}):", " if self.__class__ is not __kind__:"]
    lines += [f"  return __plain__(self, {given})", " __become__(self, '__class__', __draft__)"]
    lines += [f" self.{name} = {name}" for name in slots]
    lines.append(" self.__class__ = __kind__")
    if hasattr(kind, "__post_init__"):
        lines.append(" self.__post_init__()")
    scope: dict[str, Any] = {"__kind__": kind, "__draft__": draftOf(kind), "__become__": object.__setattr__}
    before = scope["__plain__"] = kind.__init__
    exec("\n".join(lines), scope)
    made = scope["__init__"]
    made.__defaults__ = tuple(each.default for each in known if each.default is not MISSING)
    made.__qualname__, made.__annotations__ = before.__qualname__, before.__annotations__
    kind.__init__ = made  # type: ignore[method-assign]
    return kind


__all__ = ["draftOf", "quick"]
