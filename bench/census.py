"""
Runs a command of Python's that begins with C{-c}, and counts its objects when it gets SIGUSR1:
C{census.py FILE PYTHON -c CODE ...}.  The counts, by type, are written into C{FILE} as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections import Counter
from types import FrameType


def _count(number: int, frame: FrameType | None) -> None:
    gc.collect()
    kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    with open(f"{_file}.part", "w") as part:
        json.dump(kinds, part)
    os.rename(f"{_file}.part", _file)


if __name__ == "__main__":
    _file, code = os.path.abspath(sys.argv[1]), sys.argv[4]
    sys.argv[:] = ["-c", *sys.argv[5:]]
    signal.signal(signal.SIGUSR1, _count)
    exec(compile(code, "<command>", "exec"))
