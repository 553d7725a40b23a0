"""Tests of what vendors get for theirs."""
