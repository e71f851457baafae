"""The model card: one HTML page that says how good a model is, and who won.

It holds no date, no address and no id of a run: equal results make an equal card, and so no new
version of it. Who promoted which version when stands in the metadata of the model's version.
"""

from pathlib import Path
from string import Template
from typing import Any

from comparison import find_intervals
from details import show_classes, show_confusions, show_errors
from markup import note, pairs, section, signed, span, strip, table, text
from promotion import Decision
from resampling import Interval
from results import Results, Subject
from settings import Settings


def render_card(subject: Subject, settings: Settings, results: Results) -> str:
    """Return the page."""
    parts = [
        head(subject, settings, results.decision),
        show_scores(settings, results),
        *show_details(settings, results),
        show_origin(subject, results.decision),
        show_parameters(subject.metadata),
        show_use(subject),
        show_method(settings),
    ]
    template = Path(__file__).with_name("card.html").read_text(encoding="utf-8")
    title = text(f"{subject.model}: model card")
    return Template(template).substitute(title=title, body="\n".join(filter(None, parts)))


def show_details(settings: Settings, results: Results) -> list[str]:
    """Show classes, or the errors of numbers."""
    if results.findings.counts is None:
        return [show_errors(settings, results)]
    labels = list(results.findings.details["class"])
    return [show_classes(settings, results), show_confusions(results.findings.counts, labels)]


def head(subject: Subject, settings: Settings, decision: Decision) -> str:
    """Say what the model is, and whether it won."""
    alias, champion = settings.production_alias, decision.champion
    if decision.promoted or (champion and champion.name == subject.model):
        kind, verdict = "won", f"holds {alias}"
    else:
        keeper = f"{champion.name} keeps {alias}" if champion else f"nobody holds {alias}"
        kind, verdict = "kept", f"not promoted: {keeper}"
    return "\n".join(
        [
            "<header>",
            f'<p class="quiet">Model card: {text(settings.task)} of {text(settings.target)}, '
            f"project {text(subject.project)}</p>",
            f"<h1>{text(subject.model)}</h1>",
            f'<p class="verdict {kind}">{text(verdict)}</p>',
            f"<p>{text(decision.reason)}</p>",
            *(f'<p class="warning">{text(warning)}</p>' for warning in decision.warnings),
            "</header>",
        ]
    )


def show_scores(settings: Settings, results: Results) -> str:
    """Show each metric, beside the champion's."""
    champion, level = results.decision.champion, settings.level
    comparison = champion.comparison if champion else None
    intervals = find_intervals(results.evaluation, settings.confidence)
    columns = [("metric", "text"), ("score", "number"), (level, "number")]
    if champion and comparison:
        columns += [(champion.name, "number"), ("difference", "number"), (level, "number")]
        columns.append(("worse | better", "text"))
    if settings.thresholds:
        columns.append(("lowest accepted", "number"))
    rows = []
    for name, score in results.evaluation.scores.items():
        row = [f"<code>{text(name)}</code>", f"{score:.4f}", span(intervals.get(name))]
        if comparison:
            gain, interval = score - comparison.scores[name], comparison.differences.get(name)
            row += [f"{comparison.scores[name]:.4f}", signed(gain), span(interval, "+")]
            row.append(draw_difference(gain, interval) if interval else "")
        if settings.thresholds:
            row.append(f"{settings.thresholds[name]:g}" if name in settings.thresholds else "")
        rows.append(row)
    return section(
        "Scores on the test rows",
        table(columns, rows),
        note(f"{settings.metrics[0]} decides. Higher is better, for every metric."),
    )


def draw_difference(gain: float, interval: Interval) -> str:
    """Draw a difference with its interval around 0, on a scale of its own: units differ."""
    reach = max(abs(gain), abs(interval.low), abs(interval.high))
    return strip((-reach, reach), gain, interval, zero=True)


def show_origin(subject: Subject, decision: Decision) -> str:
    """Show the data behind the model, and the code."""
    columns = [("artifact", "text"), ("rows", "number"), ("made by", "text"), ("commit", "text")]
    rows = [
        [
            f"<code>{text(item.name)}</code>",
            "" if item.rows is None else f"{item.rows:,}",
            text(item.maker or "unknown"),
            f"<code>{text(item.commit[:12])}</code>" if item.commit else "",
        ]
        for item in subject.ancestors
    ]
    commit = subject.commit
    state = "with changes that are not committed" if commit.dirty else "without further changes"
    code = (
        f"<p>Evaluated by the code of commit <code>{text(commit.sha)}</code>, {state}.</p>"
        if commit.sha
        else "<p>The commit of the code that evaluated is unknown: it isn't in a git repository."
        "</p>"
    )
    compared = decision.champion and decision.champion.comparison
    who = "Both models were scored on the same rows" if compared else "It was scored on the rows"
    return section(
        "Where it comes from", table(columns, rows), code, note(f"{who} of {subject.test_data}.")
    )


def show_parameters(metadata: dict[str, Any]) -> str:
    """Show what the model was made with."""
    parts = []
    for name, values in (metadata.get("parameters") or {}).items():
        parts += [f"<h3>{text(name)}</h3>", pairs(values)]
    if columns := metadata.get("features"):
        named = ", ".join(f"<code>{text(column)}</code>" for column in columns)
        parts.append(f"<h3>features</h3>\n<p>{named}</p>")
    return section("Made with", *parts) if parts else ""


def show_use(subject: Subject) -> str:
    """Show how to get and serve the model."""
    commands = (
        f"wandb artifact get {subject.project}/{subject.model} --root model\n"
        "mlflow models predict -m model --env-manager uv -t json "
        "-i model/serving_input_example.json\n"
        "mlflow models serve -m model --env-manager uv --host 127.0.0.1 --port 5001"
    )
    return section(
        "Use it",
        "<p>It takes raw rows, as they were downloaded, and needs nothing of this project.</p>",
        f"<pre>{text(commands)}</pre>",
    )


def show_method(settings: Settings) -> str:
    """Say how the intervals were made, and what they don't say."""
    if not settings.resamples:
        return section("How to read it", "<p>No intervals were made (resamples=0).</p>")
    strata = ", each class among itself" if settings.task == "classification" else ""
    return section(
        "How to read it",
        "<p>Intervals are percentile bootstrap intervals (Efron and Tibshirani, 1993) of "
        f"{settings.resamples:,} draws of the test rows{strata}. Both models are "
        "compared on the same draws. They hold the chance in the choice of the test rows, not that "
        "of training: another seed makes another model. A difference whose interval holds 0 may "
        "be chance.</p>",
    )
