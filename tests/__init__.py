"""Tests of skypetrunk; they mirror the package."""

from hypothesis import HealthCheck, settings

# Machines are shared: how long it takes to invent an input says nothing of what is tested with it.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
