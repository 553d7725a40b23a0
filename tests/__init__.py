"""Tests of skypetrunk; they mirror the package."""
