"""Print figures: C{python bench/run.py [NAME ...]}, all of them without a name."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from pathlib import Path

# At the end: what is measured is the installed package, where there is one.
sys.path[0:1] = []
sys.path.append(str(Path(__file__).parents[1]))

NAMES = {
    "parse": "an INVITE read and written again",
    "calls": "CPU per call, INVITE to BYE, beside sippy's b2bua",
    "relay": "CPU per relayed packet, beside a C program without crypto and rtpengine",
    "streams": "CPU per relayed packet at 10 and at 1,000 streams",
    "srtp": "a packet of G.711 encrypted and decrypted, by libsrtp and by ourselves",
    "hundred_calls": "100 simultaneous G.711 calls: loss, delay, share of a core",
    "three_hundred_calls": "300 of them, and 500, through a trunk that has one core",
    "workers": "CPU per relayed packet with media workers, and OPTIONS while media has a whole core",
    "memory": "memory per call at 200 calls",
    "start": "from the command to a registered trunk",
    "recovery": "from a connection that was reset to a registered trunk",
    "failover": "from the end of the carrier's first node to a trunk registered at the next",
    "thousand": "1,000 trunks that register again after an outage",
    "idle": "memory of an idle trunk, and of a connection of a carrier that calls in",
    "standing": "CPU per call at 1,000 standing calls beside 10, memory of a standing call",
    "endurance": "80 % of the capacity: failed calls (20 s; --long: five minutes)",
    "overload": "three times the capacity: delay of answers and of 503, share refused",
    "growth": "what 2,000 calls leave behind (--long: 20,000)",
}

LONG = ("endurance", "growth")
"""What can be measured for longer."""


def main() -> int:
    """Measure what is asked for; the status is 1 when one of them could not be measured."""
    parser = argparse.ArgumentParser(
        prog="bench/run.py",
        description="Speed and memory of skypetrunk beside other programs.  Figures:",
        epilog="\n".join(f"  {name:14} {text}" for name, text in NAMES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*NAMES, []], help="default: all")
    parser.add_argument("--long", action="store_true", help="as long as the targets say: about ten minutes")
    options = parser.parse_args()
    names = options.names or list(NAMES)

    from bench.processes import Failed, Missing
    from bench.table import show

    start, status = time.monotonic(), 0
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load before {load:.1f}")
    print("Median, range of the runs, and the median of the ratios to what is compared with.")
    interpreter = os.path.relpath(sys.executable)
    if interpreter.startswith(".."):
        interpreter = sys.executable
    for name in names:
        try:
            measure = importlib.import_module(f"bench.{name}").measure
            figure = measure(long=True) if options.long and name in LONG else measure()
        except (Failed, Missing) as problem:
            print(f"\n{NAMES[name]}: {problem}", flush=True)
            status = 1
        else:
            print("\n" + show(figure, interpreter), flush=True)
    print(f"\nIt took {time.monotonic() - start:.0f} s.")
    return status


if __name__ == "__main__":
    sys.exit(main())
