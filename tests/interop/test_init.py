"""What a new user does: C{skypetrunk init}, then C{twistd -n skypetrunk --config trunk.toml}, then calls."""

from __future__ import annotations

from typing import Any

from tests.interop.rig.calls import PBX_NUMBER, CallCase, listen
from tests.interop.rig.capture import Capture
from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.trunk import USER, Trunk


class InitTrunk(Trunk):
    """
    A trunk whose configuration was written by C{skypetrunk init}.

    Only the range of its media ports is narrowed afterwards, so that the rig can tell them from others.
    """

    def __init__(self, scratch: Any, pbx: tuple[str, int], **options: Any) -> None:
        # The range that init writes has to be free of it, and is narrowed afterwards only.
        port = next(port for port in iter(lambda: takePorts(host(2)), 0) if not 20000 <= port <= 29999)
        super().__init__(scratch, pbx, port=port, **options)
        self.configuration.unlink()
        target = options["targets"][0]
        written = self.tool(
            "init",
            f"--output={self.configuration}",
            "--name=skype",
            "--profile=skype-connect",
            f"--domain={DOMAIN}",
            f"--username={USER}",
            "--password-file=carrier.secret",
            f"--ca-file={options['caFile']}",
            f"--target={target}",
            f"--pbx=udp:{pbx[0]}:{pbx[1]}",
            "--allow=127.0.0.0/8",
            f"--listen=udp:{self.address}:{self.port}",
            "--country=GB",
            configuration=False,
        )
        if written.returncode:
            raise AssertionError(f"skypetrunk init: {written.returncode}\n{written.stdout}{written.stderr}")
        text = self.configuration.read_text()
        ports = f'"{self.mediaPorts[0]}-{self.mediaPorts[-1]}"'
        assert text.count('"20000-29999"') == 1, text
        self.configuration.write_text(text.replace('"20000-29999"', ports))


class InitTests(CallCase):
    """The configuration that C{init} writes carries calls both ways."""

    def test_calls(self) -> None:
        """C{check} accepts it; baresip calls a Kamailio and baresip carrier, and is called back."""
        self.stage(configured=InitTrunk)
        checked = self.trunk.tool("check")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        with Capture() as capture:
            self.callBob()
            listen(2.5)
            self.pbx.hangUp()
            self.bothClosed()
        self.goodAudio(capture, self.secure(capture))
        self.bob.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
        self.bob.waitEvent("CALL_ESTABLISHED", count=2)
        self.pbx.waitEvent("CALL_ESTABLISHED", count=2)
        self.bob.hangUp()
        self.pbx.waitEvent("CALL_CLOSED", count=2)
