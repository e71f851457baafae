"""Which program this is, and which one it can work with."""

VERSION = "0.1.0"

# Goes up when a caller of this version can't use a server of the last one.
API_VERSION = 1
