"""
Is the built wheel what it should be?  Run with the Python of C{.venv}, where it is installed.

It holds the compiled helper, every module and every file of data, one dropin for Twisted and nothing else of
C{twisted}; and C{twistd} finds both services through it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
HELPER = "skypetrunk/media/_settled.abi3.so"
DATA = {".json", ".py", ".toml", ".pem", ".typed"}


def contents() -> list[str]:
    """What is wrong with the wheel's contents."""
    (wheel,) = (VENV / "dist").glob("*.whl")
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        info = {
            name.split("/")[-1]: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/" in name
        }
    wanted = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "skypetrunk").rglob("*")
        if path.suffix in DATA or path.name == "py.typed"
    }
    wanted.add("twisted/plugins/skypetrunk_plugin.py")
    # Optional where it is installed, but here is a compiler.
    wanted.add(HELPER)
    problems = [f"{wheel.name} lacks {name}" for name in sorted(wanted - names)]
    problems += [f"{wheel.name} should not hold {name}" for name in sorted(names - wanted)]
    if "skypetrunk = skypetrunk.tools.main:main" not in info["entry_points.txt"]:
        problems.append("no console script")
    if not re.search(r"^Requires-Python: >=3\.11$", info["METADATA"], re.M):
        problems.append("no Requires-Python")
    for name in ("LICENSE", "py.typed"):
        if name not in info and not any(entry.endswith(name) for entry in names):
            problems.append(f"no {name}")
    return problems


def withoutCompiler() -> list[str]:
    """What goes wrong where there is no compiler: nothing but the helper may be missing."""
    with tempfile.TemporaryDirectory() as directory:
        source, built = Path(directory) / "source", Path(directory) / "built"
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "docs", "tests", "build", "*.so"))
        command = [
            VENV / "bin" / "python",
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            built,
            source,
        ]
        done = subprocess.run(
            command, env={**os.environ, "CC": "/bin/false"}, capture_output=True, text=True, timeout=100
        )
        if done.returncode:
            return [f"without a compiler: {done.stderr[-2000:]}"]
        names = []
        for wheel in (*built.glob("*.whl"), *(VENV / "dist").glob("*.whl")):
            with ZipFile(wheel) as archive:
                names.append({name for name in archive.namelist() if ".dist-info/" not in name})
        without, with_ = names
        return [f"without a compiler {name} differs" for name in without ^ with_ if name != HELPER]


def services() -> list[str]:
    """What C{twistd} and the console script, run far from the source, do not find."""
    problems = []
    with tempfile.TemporaryDirectory() as empty:

        def output(*command: str) -> str:
            program = VENV / "bin" / command[0]
            done = subprocess.run(
                [program, *command[1:]], cwd=empty, capture_output=True, text=True, timeout=60
            )
            if done.returncode:
                problems.append(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
            return done.stdout

        listed = output("twistd", "--help")
        for name in ("skypetrunk", "skypetrunk-lab"):
            if not re.search(rf"^    {name}\s", listed, re.M):
                problems.append(f"twistd --help does not list {name}")
            output("twistd", "-n", name, "--help")
        for name in ("run", "demo", "init", "check"):
            if "--help" not in output("skypetrunk", name, "--help"):
                problems.append(f"skypetrunk {name} --help does not describe itself")
        where = output("python", "-c", "import skypetrunk; print(skypetrunk.__file__)")
        if not Path(where.strip()).is_relative_to(VENV):
            problems.append(f"skypetrunk comes from {where.strip()}")
    return problems


def main() -> int:
    """Print the problems, one on a line."""
    problems = contents() + withoutCompiler() + services()
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
