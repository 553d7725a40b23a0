"""
C{python -m tests.fuzz.run [SECONDS]}: every target for some seconds, one after the other.

Stops at the first crash, at an input that takes longer than two seconds, or at 1 GiB of memory; what was
found is left in a file that is named.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.targets import TARGETS, folders

_SECONDS = 7
_FOUND = Path("fuzz-found").absolute()


def main() -> int:
    """
    Run all.

    @return: the exit status.
    """
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    for name in TARGETS:
        with TemporaryDirectory() as corpus:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "tests.fuzz.one", name),
                    *(f"-max_total_time={seconds}", "-max_len=65536", "-timeout=2", "-rss_limit_mb=1024"),
                    f"-artifact_prefix={_FOUND}-{name}-",
                    *(corpus, *(str(folder) for folder in folders(name))),
                ],
                capture_output=True,
                text=True,
                errors="replace",
            )
        counted = re.search(r"Done (\d+) runs", done.stderr)
        if done.returncode or counted is None:
            print(done.stdout[-4000:], done.stderr[-8000:], f"{name}: FAILED", sep="\n")
            return 1
        print(f"{name}: {counted[1]} inputs, none crashed", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
