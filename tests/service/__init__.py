"""Tests of the configuration and the service."""
