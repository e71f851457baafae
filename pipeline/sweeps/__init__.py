"""Sweeps: what each trial came to, which one is best, and what is done with it at the end."""
