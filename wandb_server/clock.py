"""Time stamps as they are stored and sent: UTC, RFC 3339, always of the same width."""

from datetime import UTC, datetime, timedelta


def now() -> str:
    """Give the present moment, such as `2026-01-31T09:05:00.250000Z`; sorts as text."""
    return _text(datetime.now(UTC))


def ago(seconds: float) -> str:
    """Give the moment that many seconds before the present one, in the form of `now`."""
    return _text(datetime.now(UTC) - timedelta(seconds=seconds))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
