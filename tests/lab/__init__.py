"""Tests of the practice carrier."""
