"""What went where: one line a thing, and whether all of it arrived."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_SENT, _THERE, _FAILED = "sent", "there", "FAILED"


@dataclass(frozen=True)
class Outcome:
    """One line: what became of a run, a version or another thing of this name."""

    result: str
    kind: str
    name: str
    text: str


@dataclass
class Report:
    """The outcomes so far, in order."""

    outcomes: list[Outcome] = field(default_factory=list)

    def sent(self, kind: str, name: str, text: str) -> None:
        """Note what was sent, or in a dry run would be."""
        self.outcomes.append(Outcome(_SENT, kind, name, text))

    def there(self, kind: str, name: str, text: str) -> None:
        """Note what the target had already."""
        self.outcomes.append(Outcome(_THERE, kind, name, text))

    def failed(self, kind: str, name: str, text: str) -> None:
        """Note what isn't at the target, and why."""
        self.outcomes.append(Outcome(_FAILED, kind, name, text))

    @property
    def is_complete(self) -> bool:
        """Whether nothing failed."""
        return all(outcome.result != _FAILED for outcome in self.outcomes)

    def lines(self, path: str, url: str, *, dry_run: bool) -> Iterator[str]:
        """Tell all of it.

        Args:
            path: `entity/project` at the target.
            url: The target's base address.
            dry_run: Whether nothing was sent in truth.
        """
        for item in self.outcomes:
            result = "to send" if dry_run and item.result == _SENT else item.result
            yield f"{result:<8}{item.kind:<11}{item.name:<32} {item.text}".rstrip()
        counts = Counter(item.result for item in self.outcomes)
        sent = "to send" if dry_run else "sent"
        yield (
            f"{path} at {url}: {counts[_SENT]} {sent}, {counts[_THERE]} there already, "
            f"{counts[_FAILED]} failed."
        )
        if not self.is_complete:
            yield "What failed isn't at the target. Publishing again sends only what is missing."
