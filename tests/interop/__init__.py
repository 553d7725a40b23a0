"""Calls with real peers; C{SKYPETRUNK_INTEROP=1} switches them on (see L{tests.interop.rig})."""
