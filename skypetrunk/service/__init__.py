"""The service: configuration, and everything wired together."""
