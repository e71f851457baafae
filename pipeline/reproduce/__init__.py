"""Runs again what led to an artifact, from the recorded commit and config, and compares."""
