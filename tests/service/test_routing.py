"""Routes and account of a configuration."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.sides import Side
from skypetrunk.interfaces import ICredentials
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.service.routing import Account, RouteTable
from skypetrunk.service.settings import Route
from skypetrunk.wire.secret import Secret


class RouteTests(SynchronousTestCase):
    """The first that fits wins."""

    def table(self, *routes: Route) -> RouteTable:
        """Routes among four sides."""
        # A side is only handed on here.
        sides = {name: Side(name, None) for name in ("office", "one", "two", "three")}  # type: ignore[arg-type]
        return RouteTable(routes, sides, NumberPlan("GB", "9", ()))

    def names(self, table: RouteTable, called: str, source: str = "office") -> list[str]:
        """Where a call goes."""
        return [side.name for side in table.destinations(source, called)]

    def test_prefixes(self) -> None:
        """Prefixes are those of the normalised number, or of the one that was dialled."""
        table = self.table(
            Route("office", ("one",), ("+44",)),
            Route("office", ("two",), ("00", "7")),
            Route("office", ("three",)),
        )
        for called, wanted in (
            ("+442079460000", "one"),
            ("02079460000", "one"),
            ("902079460000", "one"),
            ("0049301234", "two"),
            ("7", "two"),
            ("+49301234", "three"),
            ("reception", "three"),
        ):
            self.assertEqual(self.names(table, called), [wanted], called)

    def test_sources(self) -> None:
        """Each side has its own routes; from one without any nothing goes anywhere."""
        table = self.table(Route("one", ("office",)), Route("office", ("two", "one")))
        self.assertEqual(self.names(table, "1"), ["two", "one"])
        self.assertEqual(self.names(table, "1", "one"), ["office"])
        self.assertEqual(self.names(table, "1", "two"), [])

    def test_ill(self) -> None:
        """A side that takes no calls now comes last; where all are so the order stays."""
        sick: set[str] = set()
        sides = {name: Side(name, None) for name in ("office", "one", "two")}  # type: ignore[arg-type]
        for name, side in sides.items():
            side.ill = lambda name=name: name in sick  # type: ignore[misc]
        sides["two"].ways = 2
        table = RouteTable([Route("office", ("one", "two"))], sides, NumberPlan("GB"))
        self.assertEqual(self.names(table, "1"), ["one", "two", "two"])
        sick.add("one")
        self.assertEqual(self.names(table, "1"), ["two", "two", "one"])
        sick.add("two")
        self.assertEqual(self.names(table, "1"), ["one", "two", "two"])

    def test_noRoute(self) -> None:
        """None fits."""
        self.assertEqual(self.names(self.table(Route("office", ("one",), ("+44",))), "+49301234"), [])

    def test_anywhere(self) -> None:
        """The empty number asks for every side that could ever be reached, each once."""
        table = self.table(
            Route("office", ("one", "two"), ("+44",)),
            Route("office", ("two", "three")),
            Route("one", ("office",)),
        )
        self.assertEqual(self.names(table, ""), ["one", "two", "three"])


class AccountTests(SynchronousTestCase):
    """Who answers challenges."""

    def test_realms(self) -> None:
        """One account for every realm, none without a password."""
        password = Secret("x")
        account = Account("user", password)
        self.assertTrue(verifyObject(ICredentials, account))
        self.assertEqual(account.find("any"), ("user", password))
        self.assertIsNone(Account("user", None).find("any"))
