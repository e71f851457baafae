"""Artifacts: collections of versions, their files, aliases and lineage.

A version is PENDING while its files arrive and can't be seen. Commit makes it COMMITTED:
it gets its number, its aliases and its place in the collection in one transaction.
"""
