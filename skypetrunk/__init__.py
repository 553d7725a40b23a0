"""A secure SIP trunk for IP-PBXes: plain SIP and RTP on one side, TLS and SRTP on the other."""

__version__ = "0.1.0"
