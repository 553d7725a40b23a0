"""Tests of the wire layer: bytes and values."""
