"""Bytes and values: SIP, SDP and RTP as frozen values.  Standard library only, no input or output, no clock."""
