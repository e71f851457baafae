"""Sweeps: the server chooses the parameters of the runs that agents start."""
