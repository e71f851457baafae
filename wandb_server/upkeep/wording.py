"""How findings are told."""

from collections.abc import Iterator

from wandb_server.upkeep.check import Lost, Report
from wandb_server.upkeep.collect import Collection
from wandb_server.upkeep.usage import Usage

_USES_SHOWN = 10
_COLUMN = 36


def readable(size: float) -> str:
    """Write a number of bytes for people, such as `1.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, such as `1 file` or `2,000 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def report_lines(report: Report, *, quick: bool) -> Iterator[str]:
    """Tell what a check found, everything by name."""
    yield f"{'database':<10}{'whole' if not report.database else 'damaged'}"
    yield from (f"{'':<10}{complaint}" for complaint in report.database)
    done = "looked at, not read" if quick else "read"
    yield f"{'files':<10}{counted(report.read, 'file')}, {readable(report.size)}, {done}"
    for item in report.lost:
        yield from lost_lines(item)
    for file in report.stray:
        yield f"{'stray':<10}{file.path}, {readable(file.size)}: no file of the server"
    if report.unused:
        size = sum(file.size for file in report.unused)
        yield (
            f"{'unused':<10}{counted(len(report.unused), 'file')}, {readable(size)}, that nothing "
            "refers to: no damage; `gc` shows and removes them"
        )


def lost_lines(item: Lost) -> Iterator[str]:
    """Tell which file is lost, and the runs and versions that it is part of."""
    yield f"{item.fault:<10}{item.path}"
    for use in item.uses[:_USES_SHOWN]:
        yield f"{'':<10}  {use.kind} {use.owner}: {use.file}"
    if len(item.uses) > _USES_SHOWN:
        yield f"{'':<10}  and {len(item.uses) - _USES_SHOWN:,} more"
    if not item.uses:
        yield f"{'':<10}  nothing refers to it"


def verdict(report: Report) -> str:
    """Sum a check up in one line."""
    if not report.damaged:
        return "No damage."
    faults = [
        (len([item for item in report.lost if item.uses]), "lost file"),
        (len([item for item in report.lost if not item.uses]), "altered file without a use"),
        (len(report.stray), "stray file"),
        (len(report.database), "fault in the database"),
    ]
    found = ", ".join(
        counted(number, noun) if number != 1 else f"1 {noun}" for number, noun in faults if number
    )
    return f"Damage: {found}. `check --repair` mends what can be mended, and says what it does."


def collection_lines(done: Collection, grace: float, *, delete: bool) -> Iterator[str]:
    """Tell what was, or would be, removed; the time of grace is in hours."""
    word = "deleted" if delete else "to delete"
    for item in done.versions:
        yield f"{word:<10}{item.label}, {readable(item.size)}: {item.reason}"
    yield from (f"{word:<10}{run.label}: an old run without a version" for run in done.runs)
    removed = "Removed" if delete else "Nothing was removed. `gc --delete` would remove"
    runs = f"{counted(len(done.runs), 'run')}, " if done.runs else ""
    yield (
        f"{removed} {runs}{counted(len(done.versions), 'version')} and "
        f"{counted(done.files, 'file')}, {readable(done.size)}, that nothing refers to."
    )
    if done.young:
        yield (
            f"{counted(done.young, 'file')} more, {readable(done.young_size)}, stay for now: "
            f"younger than {grace:g} hours, and perhaps of what is being logged."
        )


def usage_lines(usage: Usage) -> Iterator[str]:
    """Show the sizes of the projects as a table."""
    yield f"{'project':<{_COLUMN}}{'runs':>8}{'versions':>10}{'size':>12}"
    for row in usage.projects:
        numbers = f"{row.runs:>8,}{row.versions:>10,}{readable(row.size):>12}"
        yield f"{row.project:<{_COLUMN}}{numbers}"
    yield f"{'all, what they share counted once':<{_COLUMN}}{readable(usage.size):>30}"
    yield f"{'used by none, see `gc`':<{_COLUMN}}{readable(usage.unused):>30}"
