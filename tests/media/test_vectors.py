"""
The SRTP vectors (C{tests/vectors/srtp}) against L{skypetrunk.media.srtp}.

C{exceptions.json} lists, with the reason, what is not done yet; what is listed there and
passes is a failure too, so that the list only shrinks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import LocalError, PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.srtp import InPlaceGuard, PublicGuard
from skypetrunk.wire.sdes import MasterKey

VECTORS = Path(__file__).parent.parent / "vectors" / "srtp"

MakeGuard = Callable[[str, MasterKey, bool], IPacketGuard]
Vector = dict[str, Any]


def packetScenarios() -> Iterator[Vector]:
    """Each line of C{packets.jsonl}."""
    for line in (VECTORS / "packets.jsonl").read_text().splitlines():
        yield json.loads(line)


def rfcVectors() -> Iterator[Vector]:
    """Each vector of the RFCs; whole packets in the form of a scenario."""
    for vector in json.loads((VECTORS / "rfc_vectors.json").read_text())["vectors"]:
        if vector["kind"] == "packets":
            vector["mki_length"] = len(vector["mki"]) // 2
            vector["keys"] = [{name: vector[name] for name in ("master_key", "master_salt", "mki")}]
            vector["steps"] = [
                step
                for packet in vector["packets"]
                for step in (
                    {
                        "op": "protect_" + packet["type"],
                        "plain": packet["plain"],
                        "expect": packet["protected"],
                    },
                    {"op": "unprotect_" + packet["type"], "packet": packet["protected"], "expect": "ok"}
                    | {"plain": packet["plain"]},
                )
            ]
        yield vector


def run(scenario: Vector, make: MakeGuard) -> str | None:
    """
    Play one scenario.

    @return: C{None}, or what is wrong.
    """
    if "steps" not in scenario:
        return f"no implementation shows {scenario['kind']}"
    if scenario["mki_length"] or len(scenario["keys"]) > 1:
        return "no MKI"
    key = MasterKey(*(bytes.fromhex(scenario["keys"][0][name]) for name in ("master_key", "master_salt")))
    try:
        guards = {
            "protect": make(scenario["suite"], key, True),
            "unprotect": make(scenario["suite"], key, False),
        }
    except LocalError as error:
        return str(error)
    for number, step in enumerate(scenario["steps"]):
        role, kind = step["op"].split("_")
        call = getattr(guards[role], kind)
        expected = step["expect"]
        try:
            seen = call(bytes.fromhex(step["plain" if role == "protect" else "packet"])).hex()
        except PacketRefused as refusal:
            if role == "protect" or expected == "ok":
                return f"step {number}: refused, {refusal.reason}"
            continue
        wanted = expected if role == "protect" else step.get("plain")
        if seen != wanted:
            return f"step {number}: {seen} instead of {wanted or expected}"
    return None


class VectorTests(SynchronousTestCase):
    """Every vector passes, or is listed with its reason and does not."""

    def check(self, vectors: Iterator[Vector], make: MakeGuard, lists: tuple[str, ...]) -> None:
        """Play C{vectors}, of which those in C{lists} must fail."""
        listed: dict[str, str] = {}
        exceptions = json.loads((VECTORS / "exceptions.json").read_text())
        for name in lists:
            listed.update(exceptions[name])
        self.assertNotIn("", listed.values())
        problems, count = [], 0
        for vector in vectors:
            count += 1
            name, wrong = vector["id"], run(vector, make)
            if wrong is not None and name not in listed:
                problems.append(f"{name}: {wrong}")
            if wrong is None and name in listed:
                problems.append(f"{name}: passes, though listed: {listed[name]}")
            listed.pop(name, None)
        self.assertGreater(count, 10)
        self.assertEqual(problems, [])
        self.assertEqual(listed, {}, "listed, but no such vector")

    def test_packetsInPlace(self) -> None:
        """The scenarios of packets.jsonl, through the private binding."""
        self.check(packetScenarios(), InPlaceGuard, ("packets",))

    def test_packetsPublic(self) -> None:
        """The scenarios of packets.jsonl, through the public call."""
        self.check(packetScenarios(), PublicGuard, ("packets", "packets, public call only"))

    def test_rfcInPlace(self) -> None:
        """The vectors of the RFCs, through the private binding."""
        self.check(rfcVectors(), InPlaceGuard, ("rfc_vectors",))

    def test_rfcPublic(self) -> None:
        """The vectors of the RFCs, through the public call."""
        self.check(rfcVectors(), PublicGuard, ("rfc_vectors",))
