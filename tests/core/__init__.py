"""Tests of L{skypetrunk.core}."""
