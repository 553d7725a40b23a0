"""Bytes and values: SIP, SDP and RTP as frozen values.  Standard library only, no I/O, no clock."""
