"""What can go wrong while a request is served, by who has to do something about it."""


class ClientError(Exception):
    """The request can't be served as sent; the message says what is allowed."""


class NotFoundError(ClientError):
    """The request names something that doesn't exist."""


class GoneError(NotFoundError):
    """What a sweep's agent works for is gone; it looks at nothing but HTTP's 404."""


class BusyError(Exception):
    """What is asked for takes a while, and is under way; the client should ask again soon."""


class StorageError(Exception):
    """The database or a file failed; the client should try again later."""


class LostFileError(StorageError):
    """A stored file is missing or altered: asking again won't help, so the SDK must not."""


class NewerDatabaseError(StorageError):
    """A newer program wrote the database; only that program can read it."""
