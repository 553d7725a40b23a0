"""The proof that emergency numbers are kept from the trunks."""

from __future__ import annotations

from phonenumbers.shortnumberinfo import SUPPORTED_SHORT_REGIONS
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.interfaces import INumberPlan
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.service.emergency_check import SERVICES, prove, writtenForms
from tests.service.configurations import SHORT, ConfigurationTestCase


@implementer(INumberPlan)
class OnlyAsDialled:
    """A plan of a vendor who has not thought of country codes."""

    def isEmergency(self, called: str) -> bool:
        """112 as it stands."""
        return called == "112"

    def normalise(self, called: str) -> str:
        """As it is."""
        return called


class ProofTests(SynchronousTestCase):
    """L{prove}."""

    def test_countries(self) -> None:
        """Every number of every country, in every form, behind every usual outside line."""
        for country in SUPPORTED_SHORT_REGIONS:
            for outsideLine in ("", "0", "9", "*9"):
                plan = NumberPlan(country, outsideLine)
                asked, missed = prove(plan, plan, outsideLine)
                self.assertEqual(missed, [], country)
                self.assertEqual(asked > len(SERVICES), bool(plan.emergencyNumbers()))

    def test_missed(self) -> None:
        """A plan that knows fewer forms is found out."""
        missed = prove(OnlyAsDialled(), NumberPlan("DE"), "")[1]
        self.assertIn("sip:+112@pbx.example", missed)
        self.assertIn("tel:1.1.0", missed)
        self.assertNotIn("sip:112@pbx.example", missed)
        self.assertNotIn("sip:%31%31%32@pbx.example", missed)

    def test_forms(self) -> None:
        """Hash and star, which no tel URI of a trunk has, stand in SIP URIs only."""
        forms = list(writtenForms("*5#", NumberPlan("DE"), ""))
        self.assertEqual({form[:3] for form in forms}, {"sip"})
        self.assertIn("sip:%2A%35%23@pbx.example", forms)


class ShadowTests(ConfigurationTestCase):
    """What expects an emergency number to go by a route."""

    def test_routes(self) -> None:
        """A route for an emergency number gets none, in any form."""
        for prefix in ("112", "+49112", "0049110"):
            route = f'[[route]]\nfrom = "office"\nto = ["carrier"]\ncalled = ["{prefix}", "+49"]\n'
            route += '[[route]]\nfrom = "carrier"\nto = ["office"]\n'
            warnings = self.load(SHORT + route)[1]
            self.assertEqual(
                [line.partition(": ")[2] for line in warnings],
                [f'route: from office: called "{prefix}" is an emergency number, which no route ever gets'],
            )

    def test_unknown(self) -> None:
        """A country whose numbers nobody has written down."""
        warnings = self.load(SHORT.replace('"DE"', '"GN"'))[1]
        self.assertIn("no emergency numbers of GN are known", warnings[0])

    def test_outsideLine(self) -> None:
        """An outside line that is one itself."""
        warnings = self.load(SHORT.replace('"DE"', '"DE"\noutside_line = "110"'))[1]
        self.assertIn('numbers.outside_line: "110" is itself an emergency number', warnings[0])
