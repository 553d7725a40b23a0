"""Tests of the plugin, on what is installed."""
