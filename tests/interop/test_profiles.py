"""
Each carrier profile against the practice carrier in a process of its own, switched to insist on what is known
of that carrier: C{skypetrunk init} writes the configuration, the doctor registers, and calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skypetrunk.profiles import loadProfile, profileNames
from tests.interop.rig.case import InteropCase
from tests.interop.rig.ports import takePorts
from tests.interop.test_lab import _TOOL as TOOL
from tests.interop.test_lab import LabProcess, run

ADDRESS = "127.0.0.1"
ECHO = "+442079460001"
OWN = "sbc.example.com"
_MEDIA_PORTS = 40


@dataclass(frozen=True)
class Dialect:
    """
    One carrier as the practice carrier plays it.

    @ivar switches: of the lab.
    @ivar domain: where the profile has none.
    """

    profile: str
    switches: str
    domain: str = ""

    @property
    def host(self) -> str:
        """The carrier's domain."""
        return self.domain or loadProfile(self.profile).domain or ""


DIALECTS = (
    Dialect("generic", "from-check=strict", "sip.carrier.example"),
    Dialect("skype-connect", "key-exchange=rsa suites=32,80 number-forms=00 expires=45 contact=maddr"),
    Dialect(
        "twilio",
        "challenge=some from-check=lax number-forms=plus suites=80 uri-parameters=transport=tls",
        "acme.pstn.twilio.com",
    ),
    Dialect("telnyx", "naptr=on nodes=good,good from-check=lax number-forms=plus contact=plain"),
    Dialect("telekom-companyflex", "naptr=on mediasec=on number-forms=plus uri-parameters=user=phone"),
    Dialect(
        "teams-direct-routing",
        "authentication=ip client-certificate=required contact-host=sbc.example.com from-check=lax"
        " number-forms=plus uri-parameters=user=phone suites=80",
    ),
    Dialect(
        "vonage",
        "challenge=some challenge-status=401 from-check=lax number-forms=bare"
        " uri-parameters=transport=tls;media=srtp",
    ),
)


def port() -> int:
    """A port that lies outside of the media ports that C{init} writes."""
    return next(each for each in iter(lambda: takePorts(ADDRESS), 0) if not 20000 <= each <= 29999)


class ProfileTests(InteropCase):
    """Every profile that comes with the package."""

    def prepared(self, dialect: Dialect) -> list[str]:
        """A lab that speaks C{dialect}; the options of C{init} for it."""
        scratch = self.scratch / dialect.profile
        scratch.mkdir()
        profile, inbound = loadProfile(dialect.profile), f"{ADDRESS}:{port()}"
        switches = dialect.switches.split()
        if profile.ownName:
            # Where the carrier finds us in DNS.
            switches += [f"call-in={OWN}", f"call-in-at={inbound}"]
        lab = self.started(LabProcess(scratch, "--domain", dialect.host, *switches))
        arguments = ["--output", str(scratch / "trunk.toml"), "--profile", dialect.profile, "--country", "GB"]
        arguments += ["--username", "99051000000001", "--password-file", str(lab.directory / "password")]
        arguments += ["--ca-file", str(lab.directory / "ca.pem"), "--dns", f"{ADDRESS}:{lab.dns}"]
        arguments += ["--listen", f"{ADDRESS}:{port()}", "--pbx", f"{ADDRESS}:{port()}"]
        if dialect.domain:
            arguments += ["--domain", dialect.domain]
        if profile.servers:
            # The names that stand instead of SRV records have no port of the lab's.
            arguments += ["--target", f"{ADDRESS}:{lab.port}"]
        if profile.clientCertificate:
            shown = [str(lab.directory / f"client.{kind}") for kind in ("pem", "key")]
            arguments += ["--certificate", shown[0], "--key", shown[1]]
        if profile.ownName:
            arguments += ["--inbound", f"tls:{inbound}", "--host-name", OWN]
        return arguments

    def examined(self, arguments: list[str], ports: int) -> dict[str, Any]:
        """
        What the doctor finds.

        @param arguments: of C{init}.
        @param ports: the first of its media ports: each trunk has its own here.
        """
        written = run(*TOOL, "init", *arguments)
        self.assertEqual(written.returncode, 0, written.stdout + written.stderr)
        configuration = Path(arguments[1])
        text = configuration.read_text()
        self.assertEqual(text.count('"20000-29999"'), 1)
        configuration.write_text(text.replace('"20000-29999"', f'"{ports}-{ports + _MEDIA_PORTS - 1}"'))
        ended = run(*TOOL, "doctor", "--config", str(configuration), "--call", ECHO, "--json")
        self.assertTrue(ended.stdout.startswith("{"), ended.stdout + ended.stderr)
        (trunk,) = json.loads(ended.stdout)["trunks"].values()
        found: dict[str, Any] = trunk
        return found

    def findings(self, trunk: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Examination, severity and sentence."""
        for each in trunk["findings"]:
            yield each["examination"], each["severity"], each["sentence"]

    def test_calls(self) -> None:
        """Found, verified, registered where that is wanted, and a call whose SRTP is right in both ways."""
        self.assertEqual(sorted(each.profile for each in DIALECTS), sorted(profileNames()))
        prepared = [self.prepared(dialect) for dialect in DIALECTS]
        ports = [takePorts(ADDRESS, _MEDIA_PORTS) for _ in DIALECTS]
        with ThreadPoolExecutor(len(DIALECTS)) as threads:
            trunks = list(threads.map(self.examined, prepared, ports))
        for dialect, trunk in zip(DIALECTS, trunks, strict=True):
            found = list(self.findings(trunk))
            self.assertEqual([each for each in found if each[1] == "red"], [], dialect.profile)
            (media,) = (each for each in found if each[0] == "media")
            self.assertEqual(media[1], "green", f"{dialect.profile}: {media[2]}")
            registered = trunk["registration"]["granted"] is not None
            self.assertEqual(registered, loadProfile(dialect.profile).register, dialect.profile)
            self.assertEqual((trunk["domain"], trunk["profile"]), (dialect.host, dialect.profile))
        suite = {dialect.profile: self.suite(trunk) for dialect, trunk in zip(DIALECTS, trunks, strict=True)}
        self.assertEqual(suite.pop("skype-connect"), "AES_CM_128_HMAC_SHA1_32")
        self.assertEqual(set(suite.values()), {"AES_CM_128_HMAC_SHA1_80"})

    def suite(self, trunk: dict[str, Any]) -> str:
        """What the call was protected with."""
        (sentence,) = (each[2] for each in self.findings(trunk) if each[0] == "media")
        return sentence.partition("(")[2].partition(")")[0]
