"""C{twistd skypetrunk}: options, and the service they ask for."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IService

from skypetrunk.errors import ConfigurationError
from skypetrunk.service.options import CommandOptions


class Options(CommandOptions):
    """The command line of the trunk."""

    synopsis = "[options]"
    longdesc = (
        "A secure SIP trunk for an IP-PBX: plain SIP and RTP on one side, SIP over verified TLS and SRTP"
        " on the other. 'skypetrunk init' writes a configuration, 'skypetrunk check' checks one."
    )
    optParameters: Any = [["config", "c", "trunk.toml", "The configuration file."]]
    optFlags: Any = [["debug", None, "Log every SIP message, keys and proofs hidden."]]

    def postOptions(self) -> None:
        """
        Read the configuration here, where a mistake can still be told plainly.

        @raise SystemExit: status 2, after one line for each mistake.
        """
        from skypetrunk.service.config import loadConfiguration

        try:
            self["configuration"], warnings = loadConfiguration(Path(self["config"]), os.environ)
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            raise SystemExit(2) from None
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)


def makeService(options: Options) -> IService:
    """
    The trunk of C{options}, with everything bound: here, before twistd becomes a daemon and
    writes its pid file, what is taken can still be told plainly.

    @raise SystemExit: after one line: status 1 for an address that is taken, 2 for a mistake.
    """
    from twisted.internet import reactor
    from twisted.internet.error import CannotListenError
    from twisted.logger import globalLogPublisher

    from skypetrunk.service.collector import Collector
    from skypetrunk.service.hang_up import endOnHangUp
    from skypetrunk.service.listening import placeOf
    from skypetrunk.service.logs import LogFilter
    from skypetrunk.service.open_files import allowOpenFiles
    from skypetrunk.service.own_addresses import foreignAddresses
    from skypetrunk.service.trunk import Skypetrunk

    allowOpenFiles()
    try:
        trunk = Skypetrunk(options["configuration"], reactor, debug=bool(options["debug"]))
        trunk.listen()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except CannotListenError as error:
        why = getattr(error.socketError, "strerror", None) or error.socketError
        if getattr(error.socketError, "errno", None) == errno.EADDRNOTAVAIL:
            why = f"{why}; would be right: an address of this machine"
        print(f"skypetrunk: cannot listen on {placeOf(error)}: {why}", file=sys.stderr)
        raise SystemExit(1) from None
    for each in foreignAddresses(options["configuration"]):
        print(f"warning: {each.setting}: {each}", file=sys.stderr)
    endOnHangUp(reactor)
    LogFilter(globalLogPublisher, bool(options["debug"])).setServiceParent(trunk)
    Collector(reactor).setServiceParent(trunk)
    return trunk
