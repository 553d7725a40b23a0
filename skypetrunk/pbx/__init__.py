"""The PBX side: what numbers mean where the system stands."""
