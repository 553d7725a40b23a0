"""Tests of the carrier profiles."""
