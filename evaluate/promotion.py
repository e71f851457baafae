"""Which version gets the production alias."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from comparison import Comparison, Leak, Part, find_fallen
from resampling import Interval

PROMOTE = ("if_better", "if_clearly_better", "always", "never")


class PromotionError(Exception):
    """The version in production can't be replaced, or not knowingly."""


@dataclass(frozen=True)
class Rules:
    """When the challenger gets the alias.

    Attributes:
        promote: One of PROMOTE.
        alias: The production alias.
        metric: The metric that decides; more is better.
        limit: Largest fall that a class may take, see `comparison.Part`; None sets no limit.
        confidence: Of the intervals.
    """

    promote: str
    alias: str
    metric: str
    limit: float | None = None
    confidence: float = 0.95


@dataclass(frozen=True)
class Champion:
    """The version that holds the alias now.

    Either `comparison` is set, or `trouble` says why there is none; with promote=never both may be
    missing, since nothing is compared.
    """

    name: str
    comparison: Comparison | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger gets the alias, and why.

    Attributes:
        promoted: Whether it does.
        reason: Why, in sentences.
        challenger: Name and version of the model at hand.
        score: Its score by the metric that decides.
        metric: That metric.
        champion: The version that held the alias; None if none did.
        fallen: Classes or quarters that fell by more than the limit.
        leaks: Test rows that the challenger and the champion have met in training.
    """

    promoted: bool
    reason: str
    challenger: str
    score: float
    metric: str
    champion: Champion | None
    fallen: Sequence[Part] = ()
    leaks: tuple[Leak | None, Leak | None] = (None, None)

    @property
    def warnings(self) -> list[str]:
        """What makes scores look better than they are, in sentences."""
        leaks = [leak for leak in self.leaks if leak]
        other = ["main.versions can name test rows of a model's own split."]
        return [leak.told for leak in leaks] + (other if any(leak.rows for leak in leaks) else [])

    @property
    def told(self) -> str:
        """The reason and the warnings, in sentences."""
        return " ".join([self.reason, *self.warnings])

    @property
    def champion_name(self) -> str | None:
        """Name and version of the champion; None if there is none."""
        return self.champion.name if self.champion else None

    @property
    def champion_score(self) -> float | None:
        """The champion's score by the metric that decides; None if there is none."""
        comparison = self.champion.comparison if self.champion else None
        return comparison.scores[self.metric] if comparison else None

    @property
    def difference(self) -> float | None:
        """Challenger's score minus the champion's; None if the champion has none."""
        return None if self.champion_score is None else self.score - self.champion_score

    @property
    def interval(self) -> Interval | None:
        """Interval of the difference; None if there is none."""
        comparison = self.champion.comparison if self.champion else None
        return comparison.differences.get(self.metric) if comparison else None


def decide(
    rules: Rules,
    challenger: str,
    score: float,
    champion: Champion | None,
    leak: Leak | None = None,
) -> Decision:
    """Decide whether the challenger gets the alias; a tie changes nothing.

    Args:
        rules: When it does.
        challenger: Name and version of the model at hand.
        score: Its score by the metric that decides.
        champion: The version that holds the alias, None if none does.
        leak: Test rows that the model at hand has met in training.

    Raises:
        PromotionError: The champion can't be compared with, and isn't to be replaced regardless.
    """
    comparison = champion.comparison if champion else None
    fallen = find_fallen(comparison.parts, rules.limit) if comparison else []
    leaks = leak, comparison.leak if comparison else None
    facts = Decision(False, "", challenger, score, rules.metric, champion, fallen, leaks)
    promoted, reason = judge(rules, facts)
    return replace(facts, promoted=promoted, reason=reason)


def judge(rules: Rules, facts: Decision) -> tuple[bool, str]:
    """Say whether to promote, and why; errors as in decide."""
    champion, challenger, alias = facts.champion, facts.challenger, rules.alias
    if champion and champion.name == challenger:
        return False, f"{challenger} holds {alias} already."
    if rules.promote == "never":
        return False, f"promote=never leaves {alias} where it is."
    if champion is None:
        return True, f"no version held {alias}."
    if facts.difference is None:
        trouble = f"{champion.name} holds {alias} and can't be compared: {champion.trouble}"
        if rules.promote == "always":
            return True, f"promote=always. {trouble}"
        raise PromotionError(
            f"{trouble} {alias} stays there; to replace it, use evaluate.promote=always."
        )
    verdict = describe(facts, champion.name, rules.confidence)
    if rules.promote == "always":
        return True, f"promote=always. {verdict}"
    if facts.difference <= 0:
        return False, verdict
    if facts.leaks[0] and facts.leaks[0].rows:
        return False, (
            f"{verdict} But {challenger} knows some of the test rows. To promote it even so, use "
            "evaluate.promote=always."
        )
    if rules.promote == "if_clearly_better" and is_chance(facts.interval):
        return False, (
            f"{verdict} That may be chance, and promote=if_clearly_better asks for an interval "
            "above 0."
        )
    if facts.fallen:
        return False, f"{verdict} {explain_fall(facts.fallen, rules)}"
    if facts.interval and is_chance(facts.interval):
        return True, f"{verdict} It may be chance: the interval holds 0."
    return True, verdict


def is_chance(interval: Interval | None) -> bool:
    """Return whether a gain may be nothing but the choice of the test rows."""
    return interval is None or interval.low <= 0


def describe(facts: Decision, champion: str, confidence: float) -> str:
    """Say who is better, and by how much: scores and interval as the better one sees them."""
    gain = facts.difference or 0.0
    if gain > 0:
        verdict = f"{facts.challenger} beats {champion} by {gain:.6f}"
    elif gain < 0:
        verdict = f"{champion} beats {facts.challenger} by {-gain:.6f}"
    else:
        verdict = f"{facts.challenger} and {champion} are equal"
    pair = facts.score, facts.champion_score
    better, worse = pair if gain >= 0 else pair[::-1]
    scores = f"{better:.6f} against {worse:.6f}"
    if facts.interval:
        low, high = facts.interval if gain >= 0 else (-facts.interval.high, -facts.interval.low)
        scores += f"; {100 * confidence:g} % interval of the difference {low:+.6f} to {high:+.6f}"
    return f"{verdict} in test/{facts.metric} ({scores})."


def explain_fall(fallen: Sequence[Part], rules: Rules) -> str:
    """Say which parts fell, what is allowed, and how to promote even so."""
    others = f", and {len(fallen) - 3} more" if len(fallen) > 3 else ""
    return (
        f"But {'; '.join(map(str, fallen[:3]))}{others}: more than "
        f"evaluate.max_class_regression={rules.limit:g} allows. To promote it on purpose, use "
        "evaluate.promote=always or a higher limit (null sets none)."
    )
