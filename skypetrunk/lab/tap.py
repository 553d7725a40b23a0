"""C{twistd skypetrunk-lab}: options, and the service they ask for."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.internet.error import CannotListenError

from skypetrunk.core.mikey import MIKEY_KEYS
from skypetrunk.lab.authority import writePrivately
from skypetrunk.lab.numbers import TEST_NUMBERS
from skypetrunk.lab.service import Lab, LabSettings
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.lab.switches import CUT, DEFAULTS, changed, listed, parsed, readSwitches, shown, split
from skypetrunk.profiles.tables import readFile
from skypetrunk.service.addresses import isHostName
from skypetrunk.service.config import LONGEST_SOCKET
from skypetrunk.service.listening import placeOf
from skypetrunk.service.options import CommandOptions, discardOutput
from skypetrunk.service.secrets import parseSecret
from skypetrunk.service.trunk_table import isAccount
from skypetrunk.wire.secret import Secret

_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


_READY = """
The practice carrier is ready.
  the trunk for it:     skypetrunk run --config {configuration}
  a call to that trunk: skypetrunk lab-call --socket {control} --to +442079460100
  its switches:         skypetrunk lab-set --socket {control}
That configuration, or what to put into your own trunk.toml:
"""


class Options(CommandOptions):
    """The command line of the lab."""

    synopsis = "[options] [SWITCH=VALUE ...]"
    longdesc = (
        "A practice carrier on loopback: registrar and gateway over TLS with SRTP, a throw-away CA, and DNS"
        " with the SRV records. It prints what to put into trunk.toml. Faults are switched:"
        " --list lists the switches, and 'skypetrunk lab-set' changes them while it runs. Test numbers: "
        + "; ".join(f"+{number} {behaviour.value}" for number, behaviour in TEST_NUMBERS.items())
        + ". Any other number answers and plays a tone. 'skypetrunk lab-call' places a call to the trunk."
    )
    optParameters: Any = [
        ["directory", "d", "skypetrunk-lab", "Where certificates, the password and the control socket go."],
        [
            "address",
            "a",
            "127.0.0.1",
            "Address to listen at: TLS, DNS and media; more nodes take the next ones.",
        ],
        ["port", "p", 5061, "TLS port; 0: the system chooses."],
        ["dns-port", None, 5353, "Port of the name server, UDP and TCP; 0: the system chooses."],
        ["ocsp-port", None, 0, "Port of the OCSP responder; 0: the system chooses."],
        ["domain", None, "sip.skype.com", "The service's domain: SRV owner, certificate, realm."],
        ["account", "u", "99051000000001", "The SIP user name."],
        ["password-file", None, None, "File with the password; default: one in the directory, made up once."],
        ["control", None, None, "Control socket; default: control.sock in the directory."],
        ["switches", "s", None, "TOML file with switches: NAME = VALUE."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["values"] = {}
        self._words: tuple[str, ...] = ()

    def parseArgs(self, *words: str) -> None:
        """Switches, each C{NAME=VALUE}."""
        self._words = words

    def opt_list(self) -> None:
        """List all switches with their defaults and what they do, and exit."""
        status = 0
        try:
            print("\n".join(listed(shown(DEFAULTS))), flush=True)
        except BrokenPipeError:
            # The reader (head, less) has seen enough.
            discardOutput()
            status = 141
        raise SystemExit(status)

    def postOptions(self) -> None:
        """
        Check all values.

        @raise SystemExit: status 2, after one line for each mistake.
        """
        problems: list[str] = []
        changes: dict[str, str] = {}
        try:
            if self["switches"] is not None:
                changes.update(readSwitches(Path(self["switches"])))
            changes.update(split(self._words))
            self["values"] = parsed(changes)
        except OSError as error:
            problems.append(f"{error.filename}: {error.strerror}")
        except ValueError as error:
            problems += str(error).splitlines()
        if CUT in changes:
            problems.append(f"{CUT}: can be done to a running lab only, by skypetrunk lab-set")
        for name in ("port", "dns-port", "ocsp-port"):
            # Here, and not by Twisted, which would print all of its help and not say which.
            if re.fullmatch("[0-9]{1,5}", str(self[name])) and int(self[name]) <= 65535:
                self[name] = int(self[name])
            else:
                problems.append(f"--{name}: {self[name]} is no port")
        if not isHostName(self["domain"]):
            problems.append(f"--domain: {self['domain']!r} is no domain name")
        if not isAccount(self["account"]):
            problems.append(f"--account: {self['account']!r} is no account")
        if problems:
            for problem in problems:
                print(f"skypetrunk-lab: {problem}", file=sys.stderr)
            raise SystemExit(2)


def _password(options: Options, directory: Path) -> tuple[Path, Secret]:
    """
    The account's password and its file; made up, as the portal did, where there is none.

    @raise OSError: it cannot be read or written.
    @raise ValueError: the file holds something else than a password; with its name.
    """
    path = directory / "password"
    if options["password-file"] is not None:
        path = Path(options["password-file"]).absolute()
    elif not path.exists():
        made = "".join(_LETTERS[octet % len(_LETTERS)] for octet in os.urandom(14))
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        writePrivately(path, made.encode("ascii"))
    try:
        return path, parseSecret(readFile(path))
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None


def snippet(lab: Any, passwordFile: Path, account: str) -> str:
    """What to put into trunk.toml to use this lab."""
    settings = lab.settings
    host = f"[{settings.address}]" if ":" in settings.address else settings.address
    domain = settings.carrier.domain
    certificate, key = lab.credentials.clientFiles
    files = f"certificate = {_written(certificate)}\nkey = {_written(key)}\n"
    own = files if settings.clientCertificate != "off" else ""
    if settings.callIn is not None and settings.callInAt is not None:
        own += f'\n[trunk.inbound]\nlisten = ["tls:{settings.callInAt}"]\n{files}name = "{settings.callIn}"\n'
    if settings.carrier.srtp.keys == MIKEY_KEYS:
        own += f'\n[trunk.media]\nkeys = "{MIKEY_KEYS}"\n'
        if settings.carrier.srtp.mikeyKey is not None:
            own += f'mikey_key_file = {_written(_keyFile(settings))}\n'
    # Without it "skypetrunk status" has nobody to ask.
    socket = settings.directory / "trunk.sock"
    short = len(os.fsencode(socket)) <= LONGEST_SOCKET
    status = f"\n[control]\nsocket = {_written(socket)}\n" if short else ""
    return f"""\
[[trunk]]
name = "lab"
profile = "skype-connect"
domain = "{domain}"
username = "{account}"
password_file = {_written(passwordFile)}

[trunk.tls]
ca_file = {_written(lab.caFile)}
{own}
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
{status}"""


def _written(path: Path | str) -> str:
    """C{path} as a string of TOML, whatever the directory is called."""
    return json.dumps(str(path), ensure_ascii=False).replace("\x7f", "\\u007f")


def _keyFile(settings: LabSettings) -> Path:
    return settings.directory / "mikey.key"


def writeKey(settings: LabSettings) -> None:
    """
    Write the pre-shared key of MIKEY, if there is one, for the trunk to read.

    @raise OSError: the file cannot be written.
    """
    key = settings.carrier.srtp.mikeyKey
    if key is not None:
        writePrivately(_keyFile(settings), key.reveal().encode("ascii"))


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
        why = getattr(error.socketError, "strerror", None) or error.socketError
        _giveUp(f"cannot listen on {placeOf(error)}: {why}")
    except OSError as error:
        _giveUp(f"{error.filename or lab.settings.directory}: {error.strerror}")
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
        _giveUp(f"{error.filename or directory}: {error.strerror}")
    except ValueError as error:
        _giveUp(str(error))
    account = options["account"]
    carrier = CarrierSettings({account: password}, domain=options["domain"].lower())
    control = directory / "control.sock" if options["control"] is None else Path(options["control"])
    settings = LabSettings(
        carrier,
        directory,
        address=options["address"],
        port=options["port"],
        dnsPort=options["dns-port"],
        ocspPort=options["ocsp-port"],
        control=control.absolute(),
    )
    settings = changed(settings, options["values"])

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
        writeKey(self.settings)
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
