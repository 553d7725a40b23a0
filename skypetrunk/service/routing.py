"""Where calls go: the routes of the configuration, and the account that answers a carrier's challenges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zope.interface import implementer

from skypetrunk.core.sides import Side
from skypetrunk.interfaces import ICredentials, INumberPlan
from skypetrunk.service.settings import Route
from skypetrunk.wire.secret import Secret


class RouteTable:
    """The routes, first match wins."""

    def __init__(self, routes: Sequence[Route], sides: Mapping[str, Side], numbers: INumberPlan) -> None:
        """
        @param sides: by name; may be filled later, but before the first call.
        """
        self._routes = tuple(routes)
        self._sides = sides
        self._numbers = numbers

    def destinations(self, source: str, called: str) -> Sequence[Side]:
        """
        The sides of the first route that fits; every one that C{source} could ever reach for the
        empty number (an OPTIONS asks so).
        """
        ours = [route for route in self._routes if route.source == source]
        if not called:
            names = dict.fromkeys(name for route in ours for name in route.to)
            return [self._sides[name] for name in names]
        for route in ours:
            if not route.called:
                return self._ways(route)
            normal = self._numbers.normalise(called)
            if any(normal.startswith(prefix) or called.startswith(prefix) for prefix in route.called):
                return self._ways(route)
        return []

    def _ways(self, route: Route) -> Sequence[Side]:
        """
        A side with several addresses stands there as many times: each attempt takes the best of them.  Those
        that are ill come last; none is left out, as all may be.
        """
        sides = sorted((self._sides[name] for name in route.to), key=lambda side: side.ill())
        return [side for side in sides for _ in range(side.ways)]


@implementer(ICredentials)
class Account:
    """
    One account for every realm of its trunk: a challenge is only ever seen on a connection whose
    peer has proved to be that trunk.
    """

    def __init__(self, username: str, password: Secret | None) -> None:
        self._username = username
        self._password = password

    def find(self, realm: str) -> tuple[str, Secret] | None:
        """The account, if it has a password."""
        return None if self._password is None else (self._username, self._password)
