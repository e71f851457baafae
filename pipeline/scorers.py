"""Names of scikit-learn's scorers; the library itself is in the steps' environments only."""

_AVERAGED = ("f1", "jaccard", "precision", "recall")
_AVERAGES = ("macro", "micro", "samples", "weighted")
SCORERS: tuple[str, ...] = (
    "accuracy",
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "average_precision",
    "balanced_accuracy",
    "completeness_score",
    "d2_absolute_error_score",
    "d2_brier_score",
    "d2_log_loss_score",
    "explained_variance",
    "fowlkes_mallows_score",
    "homogeneity_score",
    "matthews_corrcoef",
    "mutual_info_score",
    "neg_brier_score",
    "neg_log_loss",
    "neg_max_error",
    "neg_mean_absolute_error",
    "neg_mean_absolute_percentage_error",
    "neg_mean_gamma_deviance",
    "neg_mean_poisson_deviance",
    "neg_mean_squared_error",
    "neg_mean_squared_log_error",
    "neg_median_absolute_error",
    "neg_negative_likelihood_ratio",
    "neg_root_mean_squared_error",
    "neg_root_mean_squared_log_error",
    "normalized_mutual_info_score",
    "positive_likelihood_ratio",
    "r2",
    "rand_score",
    "roc_auc",
    "roc_auc_ovo",
    "roc_auc_ovo_weighted",
    "roc_auc_ovr",
    "roc_auc_ovr_weighted",
    "top_k_accuracy",
    "v_measure_score",
    *_AVERAGED,
    *(f"{name}_{average}" for name in _AVERAGED for average in _AVERAGES),
)
_FOR_NUMBERS = ("d2_absolute", "explained_variance", "neg_m", "neg_root", "r2")


def scores_numbers(name: str) -> bool:
    """Tell whether a scorer judges predicted numbers, rather than classes.

    >>> [name for name in ("r2", "neg_mean_squared_error", "neg_log_loss") if scores_numbers(name)]
    ['r2', 'neg_mean_squared_error']
    """
    return name.startswith(_FOR_NUMBERS)
