"""Code as vendors write it, for the type checker."""
