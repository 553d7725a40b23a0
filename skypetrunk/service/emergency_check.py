"""
The proof that no number rule and no route hides an emergency number: C{skypetrunk check} shows it.

It asks what a call is asked, with every emergency number in every form that a PBX may write it in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from skypetrunk.core.emergency import isEmergencyURI
from skypetrunk.interfaces import INumberPlan
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.profiles.tables import Problems
from skypetrunk.service.settings import Numbers, Route
from skypetrunk.wire.grammar import escape
from skypetrunk.wire.uri import parseURI

SERVICES = ("urn:service:sos", "URN:Service:SOS", "urn:service:sos.police", "urn:service:sos.ambulance")
"""What is an emergency without a number (RFC 5031)."""


def writtenForms(number: str, plan: NumberPlan, outsideLine: str) -> Iterator[str]:
    """The URIs in which a PBX of the country may write the emergency number C{number}."""
    countryCode = plan.countryCode
    added = (f"+{number}", f"+{countryCode}{number}", f"{countryCode}{number}")
    # With its country code, what is 110 in Andorra would be a number of a subscriber.
    dialled = [number, *(each for each in added if not plan.exists(each))]
    dialled += [f"00{each[1:]}" for each in dialled if each.startswith("+")]
    if outsideLine:
        dialled += [outsideLine + each for each in dialled]
    for each in dialled:
        everyDigit = "".join(f"%{ord(character):02X}" for character in each)
        user = escape(each)
        yield f"sip:{user}@pbx.example"
        yield f"sip:{everyDigit}@pbx.example"
        yield f"sips:{user};x=y@pbx.example"
        yield f"sip:{escape('-'.join(each))}@pbx.example;user=phone"
        if "#" not in each and "*" not in each:
            yield f"tel:{'.'.join(each)}"
            yield f"tel:{each};phone-context=+{countryCode}"


def prove(plan: INumberPlan, own: NumberPlan, outsideLine: str) -> tuple[int, list[str]]:
    """
    Ask C{plan} for every form of the emergency numbers that C{own}, the plan of the country, knows.

    @return: how many forms were asked for, and those that were not recognised: none, or a call to one
        could reach a trunk.
    """
    forms = list(SERVICES)
    for number in own.emergencyNumbers():
        forms.extend(writtenForms(number, own, outsideLine))
    return len(forms), [form for form in forms if not isEmergencyURI(parseURI(form), plan)]


def warnShadows(problems: Problems, numbers: Numbers, routes: Sequence[Route], plan: NumberPlan) -> None:
    """Say where the configuration expects an emergency number to go somewhere: it never will."""
    if not plan.emergencyNumbers():
        text = f"no emergency numbers of {numbers.country} are known: write them here, as dialled"
        problems.warn("numbers.emergency", text)
    for route in routes:
        for prefix in route.called:
            if plan.isEmergency(prefix):
                text = f'called "{prefix}" is an emergency number, which no route ever gets'
                problems.warn("route", f"from {route.source}: {text}")
    if numbers.outsideLine and plan.isEmergency(numbers.outsideLine):
        text = f'"{numbers.outsideLine}" is itself an emergency number'
        problems.warn("numbers.outside_line", text)


__all__ = ["SERVICES", "prove", "warnShadows", "writtenForms"]
