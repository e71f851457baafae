"""Housekeeping of a data folder: check, repair, collect, back up, restore, measure.

All of it works beside a running server, and without one.
"""
