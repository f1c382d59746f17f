"""Verification: a saved result or a run, read afresh and held against its files, its model and its own arrays."""
