"""Which version gets the production alias."""

from dataclasses import dataclass

PROMOTE = ("if_better", "always", "never")


class PromotionError(Exception):
    """The version in production can't be replaced, or not knowingly."""


@dataclass(frozen=True)
class Champion:
    """The version that holds the alias now.

    Either `score` is set, or `trouble` says why there is none; with promote=never both may be
    missing, since nothing is compared.
    """

    name: str
    score: float | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger gets the alias, and why. Scores are of the first metric."""

    promoted: bool
    challenger: str
    champion: str | None
    challenger_score: float
    champion_score: float | None
    reason: str

    @property
    def difference(self) -> float | None:
        """Challenger's score minus the champion's; None if the champion has none."""
        if self.champion_score is None:
            return None
        return self.challenger_score - self.champion_score


def decide(
    promote: str, alias: str, metric: str, challenger: str, score: float, champion: Champion | None
) -> Decision:
    """Decide whether the challenger gets the alias; more is better, a tie changes nothing.

    Args:
        promote: if_better, always or never.
        alias: The production alias.
        metric: The metric that decides.
        challenger: Name and version of the model at hand.
        score: Its score.
        champion: The version that holds the alias, None if none does.

    Raises:
        PromotionError: if_better, and the champion has no score to compare with.
    """
    promoted, reason = judge(promote, alias, metric, challenger, score, champion)
    return Decision(
        promoted=promoted,
        challenger=challenger,
        champion=champion.name if champion else None,
        challenger_score=score,
        champion_score=champion.score if champion else None,
        reason=reason,
    )


def judge(
    promote: str, alias: str, metric: str, challenger: str, score: float, champion: Champion | None
) -> tuple[bool, str]:
    """Say whether to promote, and why in one sentence; arguments and errors as in decide."""
    if champion and champion.name == challenger:
        return False, f"{challenger} holds {alias} already."
    if promote == "never":
        return False, f"promote=never leaves {alias} where it is."
    if champion is None:
        return True, f"no version held {alias}."
    if champion.score is None:
        trouble = f"{champion.name} holds {alias} and can't be compared: {champion.trouble}"
        if promote == "if_better":
            raise PromotionError(
                f"{trouble} {alias} stays there; to replace it, use evaluate.promote=always."
            )
        return True, f"promote=always. {trouble}"
    gain = score - champion.score
    if gain > 0:
        verdict = f"{challenger} beats {champion.name} by {gain:.6f}"
    elif gain < 0:
        verdict = f"{champion.name} beats {challenger} by {-gain:.6f}"
    else:
        verdict = f"{challenger} and {champion.name} are equal"
    verdict += f" in test/{metric} ({score:.6f} against {champion.score:.6f})."
    if promote == "always":
        return True, f"promote=always. {verdict}"
    return gain > 0, verdict
