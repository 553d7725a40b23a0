"""Tests of L{skypetrunk.media}."""
