"""
The practice carrier: everything of a secure SIP trunk's far side, on loopback.

A throw-away certificate authority, DNS with the SRV records, a registrar and
gateway over TLS with SRTP, test numbers, and a small PBX-side phone.  It has its own
user agents, apart from those of L{skypetrunk.core}, so that it is a second opinion.
"""
