"""What went where: one line a thing, and whether all of it arrived."""

from collections import Counter
from collections.abc import Callable, Iterator

_SENT, _THERE, _FAILED = "sent", "there", "FAILED"


class Report:
    """Tells what becomes of each thing as soon as that is known, and counts."""

    def __init__(self, say: Callable[[str], None], *, dry_run: bool) -> None:
        """Start with nothing.

        Args:
            say: Takes each line.
            dry_run: Whether what is "sent" only would be.
        """
        self._say = say
        self._sent = "to send" if dry_run else "sent"
        self._counts: Counter[str] = Counter()

    def sent(self, kind: str, name: str, text: str) -> None:
        """Note what was sent, or in a dry run would be."""
        self._tell(_SENT, self._sent, kind, name, text)

    def there(self, kind: str, name: str, text: str) -> None:
        """Note what the target had already."""
        self._tell(_THERE, _THERE, kind, name, text)

    def failed(self, kind: str, name: str, text: str) -> None:
        """Note what isn't at the target, and why."""
        self._tell(_FAILED, _FAILED, kind, name, text)

    @property
    def is_complete(self) -> bool:
        """Whether nothing failed."""
        return self._counts[_FAILED] == 0

    def closing(self, path: str, url: str) -> Iterator[str]:
        """Sum up.

        Args:
            path: `entity/project` at the target.
            url: The target's base address.
        """
        yield (
            f"{path} at {url}: {self._counts[_SENT]} {self._sent}, "
            f"{self._counts[_THERE]} there already, {self._counts[_FAILED]} failed."
        )
        if not self.is_complete:
            yield "What failed isn't at the target. Publishing again sends only what is missing."

    def _tell(self, result: str, word: str, kind: str, name: str, text: str) -> None:
        self._counts[result] += 1
        self._say(f"{word:<8}{kind:<11}{name:<32} {text}".rstrip())
