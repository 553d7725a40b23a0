"""C{twistd skypetrunk-lab}: options, and the service they ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.internet.error import CannotListenError
from twisted.python import usage

from skypetrunk import __version__
from skypetrunk.lab.authority import FAULTS, writePrivately
from skypetrunk.lab.numbers import FORMS, TEST_NUMBERS
from skypetrunk.lab.service import CLIENT_CERTIFICATE, TLS_VERSIONS, Lab, LabSettings
from skypetrunk.lab.session import SRTP_MODES, SRTPPolicy
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.wire.digest import ALGORITHMS
from skypetrunk.wire.secret import Secret

_SUITES = {
    "80": "AES_CM_128_HMAC_SHA1_80",
    "32": "AES_CM_128_HMAC_SHA1_32",
}
_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


_READY = """
The practice carrier is ready.
  the trunk for it:     twistd -n skypetrunk --config {configuration}
  a call to that trunk: skypetrunk lab-call --socket {control} --to +442079460100
That configuration, or what to put into your own trunk.toml:
"""


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts)


class Options(usage.Options):
    """The command line of the lab; the switches are those of the Skype Connect facts, section 11."""

    synopsis = "[options]"
    longdesc = (
        "A practice carrier on loopback: registrar and gateway over TLS with SRTP, a throw-away CA, and DNS"
        " with the SRV records. It prints what to put into trunk.toml. Test numbers: "
        + "; ".join(f"+{number} {behaviour.value}" for number, behaviour in TEST_NUMBERS.items())
        + ". Any other number answers and plays a tone. 'skypetrunk lab-call' places a call to the trunk."
    )
    optParameters: Any = [
        ["directory", "d", "skypetrunk-lab", "Where the CA file, the password and the control socket go."],
        ["address", "a", "127.0.0.1", "Address to listen at: TLS, DNS and media."],
        ["port", "p", 5061, "TLS port; 0: the system chooses.", int],
        ["dns-port", None, 5353, "Port of the name server, UDP and TCP; 0: the system chooses.", int],
        ["domain", None, "sip.skype.com", "The service's domain: SRV owner, certificate, realm."],
        ["account", "u", "99051000000001", "The SIP user name."],
        ["password-file", None, None, "File with the password; default: one in the directory, made up once."],
        ["control", None, None, "Control socket; default: control.sock in the directory."],
        ["authentication", None, "registration", "registration or ip."],
        ["challenge", None, "all", "What is challenged: all, or some: INVITE and REGISTER only."],
        ["challenge-status", None, 407, "Status of challenges to all but REGISTER: 407 or 401.", int],
        ["algorithms", None, "MD5", f"Digest algorithms, in order: {_listed(ALGORITHMS)}."],
        ["nonce-lifetime", None, 300.0, "Seconds until a nonce is stale.", float],
        [
            "expires",
            None,
            None,
            "Registration time granted, seconds; default: 45 behind NAT, else 3600.",
            int,
        ],
        ["minimum-expires", None, 0, "Shorter registrations are refused with 423.", int],
        ["number-forms", None, _listed(FORMS), f"Number forms that are taken: {_listed(FORMS)}."],
        ["srtp", None, "required", f"{_listed(SRTP_MODES)}."],
        ["suites", None, "80, 32", "SRTP suites taken, the preferred first: 80, 32."],
        ["channels", None, 30, "Calls at once; then 503.", int],
        ["tls", None, "any", "TLS version: 1.2, 1.3 or any of them."],
        ["ciphers", None, None, "OpenSSL's cipher string for TLS 1.2; AES128-SHA is static RSA."],
        ["client-certificate", None, "off", "Ask for a client certificate: off, optional, required."],
        [
            "certificate",
            None,
            "none",
            "Fault of the certificate: "
            + "; ".join(f"{name}: {text}" for name, text in FAULTS.items())
            + ".",
        ],
    ]
    optFlags: Any = [
        ["no-qop", None, "Challenges without qop, as in RFC 2069."],
        ["nonce-once", None, "Every nonce is stale once it was used."],
        ["lax-from", None, "Take calls whatever the From user is."],
        ["plain-contact", None, "Contact with the node's address, without maddr."],
        ["dead-node", None, "The first SRV target refuses connections."],
    ]

    def opt_version(self) -> None:
        """Show the version and exit."""
        print(f"skypetrunk {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """
        Check all values.

        @raise SystemExit: status 2, after one line for each mistake.
        """
        problems: list[str] = []

        def choice(name: str, allowed: Iterable[object]) -> None:
            if self[name] not in tuple(allowed):
                wanted = _listed(map(str, allowed))
                problems.append(f"--{name}: {str(self[name])!r} is none of {wanted}")

        def several(name: str, allowed: Iterable[str]) -> tuple[str, ...]:
            values = tuple(each.strip() for each in self[name].split(","))
            for each in values:
                if each not in allowed:
                    problems.append(f"--{name}: {each!r} is none of {_listed(allowed)}")
            return values

        choice("authentication", ("registration", "ip"))
        choice("challenge", ("all", "some"))
        choice("challenge-status", (401, 407))
        choice("srtp", SRTP_MODES)
        choice("tls", TLS_VERSIONS)
        choice("client-certificate", CLIENT_CERTIFICATE)
        choice("certificate", FAULTS)
        self["algorithms"] = several("algorithms", ALGORITHMS)
        self["number-forms"] = several("number-forms", FORMS)
        self["suites"] = several("suites", _SUITES)
        for name in ("port", "dns-port"):
            if not 0 <= self[name] <= 65535:
                problems.append(f"--{name}: {self[name]} is no port")
        if self["channels"] < 1:
            problems.append("--channels: wanted at least 1")
        if problems:
            for problem in problems:
                print(f"skypetrunk-lab: {problem}", file=sys.stderr)
            raise SystemExit(2)


def _password(options: Options, directory: Path) -> tuple[Path, Secret]:
    """The account's password and its file; made up, as the portal did, where there is none."""
    path = directory / "password"
    if options["password-file"] is not None:
        path = Path(options["password-file"]).absolute()
    elif not path.exists():
        made = "".join(_LETTERS[octet % len(_LETTERS)] for octet in os.urandom(14))
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        writePrivately(path, made.encode("ascii"))
    return path, Secret(path.read_text("utf-8").rstrip("\r\n"))


def snippet(lab: Any, passwordFile: Path, account: str) -> str:
    """What to put into trunk.toml to use this lab."""
    settings = lab.settings
    host = f"[{settings.address}]" if ":" in settings.address else settings.address
    domain = settings.carrier.domain
    return f"""\
[[trunk]]
name = "lab"
profile = "skype-connect"
domain = "{domain}"
username = "{account}"
password_file = "{passwordFile}"

[trunk.tls]
ca_file = "{lab.caFile}"

[[pbx]]
name = "office"
listen = ["udp:127.0.0.1:5060"]
address = "udp:127.0.0.1:5070"
allow = ["127.0.0.0/8"]

[media]
address = "{settings.address}"

[dns]
servers = ["{host}:{lab.names.port}"]

[numbers]
country = "GB"
"""


def makeService(options: Options) -> IService:
    """
    The practice carrier of C{options}, with everything bound.

    @raise SystemExit: status 1, after one line that says what is in use or cannot be written.
    """
    lab = makeLab(options)
    # Before twistd becomes a daemon and writes its pid file, it can still be told plainly.
    try:
        lab.listen()
        lab.writeConfiguration()
    except CannotListenError as error:
        _giveUp(f"cannot listen on {error.interface or ''}:{error.port}: {error.socketError}")
    except OSError as error:
        _giveUp(f"{error.filename}: {error.strerror}")
    return lab


def makeLab(options: Options) -> AnnouncedLab:
    """
    The practice carrier of C{options}, nothing bound yet.

    @raise SystemExit: status 1, after one line: the password cannot be read or written.
    """
    from twisted.internet import reactor

    directory = Path(options["directory"]).absolute()
    try:
        passwordFile, password = _password(options, directory)
    except OSError as error:
        _giveUp(f"{error.filename}: {error.strerror}")
    account = options["account"]
    carrier = CarrierSettings(
        {account: password},
        domain=options["domain"].lower(),
        authentication=options["authentication"],
        challengeAll=options["challenge"] == "all",
        proxyChallenge=options["challenge-status"] == 407,
        algorithms=options["algorithms"],
        qop=not options["no-qop"],
        nonceLifetime=options["nonce-lifetime"],
        nonceOnce=bool(options["nonce-once"]),
        granted=options["expires"],
        minimumExpires=options["minimum-expires"],
        strictFrom=not options["lax-from"],
        forms=options["number-forms"],
        srtp=SRTPPolicy(options["srtp"], tuple(_SUITES[each] for each in options["suites"])),
        maddr=not options["plain-contact"],
        channels=options["channels"],
    )
    control = directory / "control.sock" if options["control"] is None else Path(options["control"])
    settings = LabSettings(
        carrier,
        directory,
        address=options["address"],
        port=options["port"],
        dnsPort=options["dns-port"],
        tls=options["tls"],
        ciphers=options["ciphers"],
        clientCertificate=options["client-certificate"],
        fault=options["certificate"],
        deadNode=bool(options["dead-node"]),
        control=control.absolute(),
    )

    return AnnouncedLab(reactor, settings, passwordFile, account)


class AnnouncedLab(Lab):
    """
    A practice carrier that says what to do with it.

    @ivar configuration: where the trunk's configuration for it is written.
    """

    def __init__(self, reactor: Any, settings: LabSettings, passwordFile: Path, account: str) -> None:
        super().__init__(reactor, settings)
        self.configuration = settings.directory / "trunk.toml"
        self._passwordFile = passwordFile
        self._account = account

    def writeConfiguration(self) -> None:
        """@raise OSError: the file cannot be written."""
        writePrivately(self.configuration, self._snippet().encode())

    def _snippet(self) -> str:
        return snippet(self, self._passwordFile, self._account)

    def startService(self) -> None:
        """Past the log; a daemon has no standard output."""
        super().startService()
        if sys.__stdout__ is not None:
            ready = _READY.format(configuration=self.configuration, control=self.settings.control)
            print(ready, file=sys.__stdout__)
            print(self._snippet(), file=sys.__stdout__, flush=True)


def _giveUp(text: str) -> Any:
    print(f"skypetrunk-lab: {text}", file=sys.stderr)
    raise SystemExit(1)
