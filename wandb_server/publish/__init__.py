"""Send a project to another W&B server: runs, artifacts, aliases and lineage, through the SDK.

The source is read from the data folder itself, not over HTTP: it need not run, every line is
had as it was sent, and stored files are uploaded from where they lie. The target is reached
by the SDK's public interface alone, since it may be the cloud.
"""
