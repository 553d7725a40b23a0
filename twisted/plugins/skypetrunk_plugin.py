"""What C{twistd} finds: the trunk and the practice carrier."""

from twisted.application.service import ServiceMaker

skypetrunk = ServiceMaker(
    "SkypeTrunk",
    "skypetrunk.service.tap",
    "Secure SIP trunk for an IP-PBX.",
    "skypetrunk",
)

skypetrunkLab = ServiceMaker(
    "SkypeTrunk Lab",
    "skypetrunk.lab.tap",
    "A practice carrier with TLS and SRTP, for tests and demonstrations.",
    "skypetrunk-lab",
)
