"""
C{python -m tests.fuzz.one NAME [libFuzzer options and folders]}: one target under atheris.

With a file instead of folders the target runs on it once: to see again what was found.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Instrument, then fuzz until the bound in the options, or for ever."""
    name = sys.argv[1]
    with atheris.instrument_imports(include=["skypetrunk"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
