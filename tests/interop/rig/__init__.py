"""
The rig: real SIP, TLS, SRTP and DNS programs as Python objects, and what judges them.

Every peer renders its configuration into the scratch directory of one test, waits until
it listens, and ends exactly the process it started.  Nothing here imports C{skypetrunk}:
what judges the trunk shares no code with it.
"""
