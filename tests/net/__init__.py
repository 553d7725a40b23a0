"""Tests of L{skypetrunk.net}: identity, TLS, location, signalling, flows."""
