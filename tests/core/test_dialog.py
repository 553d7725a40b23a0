"""Tests of L{skypetrunk.core.dialog}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.dialog import Dialog, targetOf
from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.headers import NameAddr, parseNameAddr
from skypetrunk.wire.message import Header, Request, Response
from tests.core.messages import answer, incoming, outgoing

CONTACT = parseNameAddr("<sip:1000@198.51.100.1:5060>")
ROUTES = ("<sip:p1.example;lr>", "<sip:p2.example;lr>")


def recorded(message: Request | Response, *routes: str) -> Request | Response:
    """C{message} after it passed proxies, the last one first."""
    for route in routes:
        message = message.addingHeader("Record-Route", route)
    return message


def asServer(*routes: str, contact: str = "<sip:3000@192.0.2.1:5070>") -> Dialog:
    """The dialog of an INVITE received."""
    request = recorded(incoming().withHeader("Contact", contact), *routes)
    assert isinstance(request, Request)
    return Dialog.fromRequest(request, "ours", CONTACT)


def asClient(*routes: str, contact: str = "<sip:3000@192.0.2.1:5070>") -> Dialog:
    """The dialog of a 2xx received."""
    invite = outgoing()
    response = recorded(answer(invite, 200, Contact=contact), *routes)
    assert isinstance(response, Response)
    return Dialog.fromResponse(invite, response, CONTACT)


class MakingTests(SynchronousTestCase):
    """RFC 3261 section 12.1."""

    def test_12_1_1_server(self) -> None:
        """Of an INVITE received: tags, Call-ID, CSeq of the peer, its Contact as target."""
        dialog = asServer()
        self.assertEqual(dialog.key, ("call-2@192.0.2.1", "ours", "theirs"))
        self.assertEqual(str(dialog.remoteTarget), "sip:3000@192.0.2.1:5070")
        self.assertEqual((dialog.remoteSequence, dialog.localSequence), (1, 0))
        bye = dialog.makeRequest("BYE", dialog.reserveSequence())
        self.assertEqual((bye.fromAddress.tag, bye.toAddress.tag, bye.cseq.number), ("ours", "theirs", 1))

    def test_12_1_2_client(self) -> None:
        """Of a 2xx received: the INVITE's From and CSeq, the response's To and Contact."""
        dialog = asClient()
        self.assertEqual(dialog.key, ("call-1@198.51.100.1", "ours", "theirs"))
        self.assertEqual((dialog.remoteSequence, dialog.localSequence), (None, 7))
        self.assertEqual(dialog.reserveSequence(), 8)

    def test_routeSetOrder(self) -> None:
        """The server's route set is in the order of Record-Route, the client's is reversed."""
        self.assertEqual([str(route) for route in asServer(*ROUTES).routes], list(ROUTES))
        self.assertEqual([str(route) for route in asClient(*ROUTES).routes], list(reversed(ROUTES)))

    def test_rfc2543(self) -> None:
        """A peer without tags has the empty one."""
        request = incoming(fromTag="").withHeader("Contact", "<sip:a@192.0.2.1>")
        self.assertEqual(Dialog.fromRequest(request, "ours", CONTACT).key[2], "")

    def test_noContact(self) -> None:
        """An INVITE without a usable Contact is 400; a 2xx without one is answered at the Request-URI."""
        for contact in ("*", "<tel:+4420>", "<mailto:a@b.example>"):
            failure = self.assertRaises(MalformedMessage, asServer, contact=contact)
            self.assertEqual(failure.status, 400)
            self.assertEqual(str(asClient(contact=contact).remoteTarget), "sip:2000@carrier.example")
        failure = self.assertRaises(MalformedMessage, targetOf, incoming().withoutHeader("Contact"))
        self.assertEqual(failure.status, 400)


class RequestTests(SynchronousTestCase):
    """RFC 3261 section 12.2.1.1."""

    def test_noRoutes(self) -> None:
        """Without a route set requests go to the remote target, or where its maddr says."""
        dialog = asClient(contact="<sip:3000@gw.example;maddr=203.0.113.7>")
        bye = dialog.makeRequest("BYE", 8)
        self.assertEqual(bye.uri, "sip:3000@gw.example;maddr=203.0.113.7")
        self.assertIsNone(bye.header("Route"))
        self.assertEqual((dialog.nextHop.host, dialog.nextHop.maddr), ("gw.example", "203.0.113.7"))

    def test_looseRouting(self) -> None:
        """A first route with lr: the target stays the Request-URI, the next hop is that route."""
        dialog = asServer(*ROUTES)
        bye = dialog.makeRequest("BYE", 1)
        self.assertEqual(bye.uri, "sip:3000@192.0.2.1:5070")
        self.assertEqual([str(route) for route in bye.routes], list(ROUTES))
        self.assertEqual(dialog.nextHop.host, "p1.example")

    def test_strictRouting(self) -> None:
        """A first route without lr is the Request-URI, without its headers; the target goes last."""
        dialog = asServer("<sip:old.example;x=1;method=BYE?a=b>", ROUTES[1])
        bye = dialog.makeRequest("BYE", 1)
        self.assertEqual(bye.uri, "sip:old.example;x=1")
        self.assertEqual([str(route) for route in bye.routes], [ROUTES[1], "<sip:3000@192.0.2.1:5070>"])
        self.assertEqual(dialog.nextHop.host, "old.example")

    def test_routeOfAnotherScheme(self) -> None:
        """A first route that is no SIP URI cannot be a next hop: the target is."""
        dialog = asServer("<tel:+4420>")
        self.assertEqual(dialog.nextHop.host, "192.0.2.1")
        self.assertEqual(dialog.makeRequest("BYE", 1).uri, "sip:3000@192.0.2.1:5070")

    def test_19_1_1_requestURI(self) -> None:
        """A Contact's method and headers may not stand in a Request-URI."""
        dialog = asClient(contact="<sip:3000@192.0.2.1;transport=tls;method=INVITE?Subject=x&Route=y>")
        self.assertEqual(dialog.makeRequest("BYE", 8).uri, "sip:3000@192.0.2.1;transport=tls")

    def test_contact(self) -> None:
        """INVITE and ACK say our Contact, BYE does not (table 2)."""
        dialog = asClient()
        for method, wanted in (("INVITE", str(CONTACT)), ("ACK", str(CONTACT)), ("BYE", None)):
            self.assertEqual(dialog.makeRequest(method, 8).header("Contact"), wanted)

    def test_more(self) -> None:
        """Further headers and a body stand in the request."""
        request = asClient().makeRequest("INVITE", 8, [Header("Content-Type", "application/sdp")], b"v=0")
        self.assertEqual((request.contentType, request.body), ("application/sdp", b"v=0"))
        self.assertEqual(request.maxForwards, 70)


class ChangingTests(SynchronousTestCase):
    """What may change while a dialog lasts."""

    def test_12_2_1_2_routeSetFixed(self) -> None:
        """A later message moves the target, never the route set."""
        dialog = asClient(*ROUTES)
        moved = recorded(incoming().withHeader("Contact", "<sip:new@192.0.2.99>"), "<sip:evil.example;lr>")
        dialog.refreshTarget(moved)
        self.assertEqual(str(dialog.remoteTarget), "sip:new@192.0.2.99")
        self.assertEqual([str(route) for route in dialog.routes], list(reversed(ROUTES)))

    def test_refreshWithoutContact(self) -> None:
        """A later message without a usable Contact leaves the target."""
        dialog = asClient()
        for contact in ("*", "<tel:+4420>"):
            dialog.refreshTarget(incoming().withHeader("Contact", contact))
        dialog.refreshTarget(incoming().withoutHeader("Contact"))
        self.assertEqual(str(dialog.remoteTarget), "sip:3000@192.0.2.1:5070")

    def test_oneCounter(self) -> None:
        """Every request of the dialog takes the next number of one counter."""
        dialog = asClient()
        self.assertEqual([dialog.reserveSequence() for _ in range(3)], [8, 9, 10])

    def test_12_2_2_order(self) -> None:
        """The peer's numbers go up; gaps are no matter, lower and equal ones are refused."""
        dialog = asServer()
        numbers = (2, 2, 1, 9, 8, 10)
        accepted = [dialog.sequenceAccepted(incoming("BYE", number=number)) for number in numbers]
        self.assertEqual(accepted, [True, False, False, True, False, True])
        # The first request of a peer that we called may have any number, 0 too.
        self.assertTrue(asClient().sequenceAccepted(incoming("BYE", number=0)))

    def test_displayNamesStay(self) -> None:
        """From and To are repeated as they were, display names included."""
        request = incoming().withHeader("From", '"A, \\"B\\"" <sip:3000@192.0.2.1>;tag=theirs;x=y')
        dialog = Dialog.fromRequest(request, "ours", NameAddr(None, CONTACT.uri))
        to = dialog.makeRequest("BYE", 1).toAddress
        self.assertEqual((to.display, to.tag, to.params.get("x")), ('A, "B"', "theirs", "y"))
