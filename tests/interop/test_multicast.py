"""A PBX whose audio is a multicast group, in a network of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.interop.rig.case import InteropCase
from tests.interop.rig.multicast import IPV4, IPV6

_NETWORK = f"""
ip link set lo up multicast on
ip link add inside type veth peer name other
ip link set other up
ip address add {IPV4.inside}/24 dev inside
ip address add {IPV4.other}/24 dev inside
ip address add {IPV6.inside}/64 dev inside nodad
ip address add {IPV6.other}/64 dev inside nodad
ip link set inside up multicast on
ip route add 239.0.0.0/8 dev lo
"""


class MulticastTests(InteropCase):
    """See L{tests.interop.rig.multicast}, which runs inside."""

    def test_call(self) -> None:
        """The call works where the trunk has two interfaces, of which the group is at one."""
        alone = (
            ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
        )
        trial = f'exec "{sys.executable}" -m twisted.trial'
        done = subprocess.run(
            [
                *alone,
                "sh",
                "-ec",
                f"{_NETWORK}\n{trial} --temp-directory={self.scratch}/trial tests.interop.rig.multicast",
            ],
            capture_output=True,
            text=True,
            timeout=self.bound,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
        )
        self.assertEqual(done.returncode, 0, done.stdout[-4000:] + done.stderr[-2000:])
        self.assertIn("PASSED (successes=3)", done.stdout)
