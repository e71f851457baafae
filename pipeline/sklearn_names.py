"""What scikit-learn knows by name; the library itself is in the steps' environments only.

A test compares all of this with scikit-learn: what it has, and what it can score.
"""

from pipeline.schema import Task

# What a forest's splits may be judged by; the first is the usual one.
CRITERIA = {
    Task.classification: ("gini", "entropy", "log_loss"),
    Task.regression: ("squared_error", "absolute_error", "poisson"),
}
# Texts that arguments may be, among values of other types.
TEXTS = {
    "random_forest.max_features": ("sqrt", "log2"),
    "random_forest.class_weight": ("balanced", "balanced_subsample"),
    "tfidf.stop_words": ("english",),
}

_AVERAGED = ("f1", "jaccard", "precision", "recall")
# Of a class that is 1 or true, against one that is 0 or false.
OF_A_TRUE_CLASS = _AVERAGED
# Of several labels a row.
OF_LABELS = tuple(f"{name}_samples" for name in _AVERAGED)
OF_NUMBERS = (
    "d2_absolute_error_score",
    "explained_variance",
    "neg_max_error",
    "neg_mean_absolute_error",
    "neg_mean_absolute_percentage_error",
    "neg_mean_gamma_deviance",
    "neg_mean_poisson_deviance",
    "neg_mean_squared_error",
    "neg_mean_squared_log_error",
    "neg_median_absolute_error",
    "neg_root_mean_squared_error",
    "neg_root_mean_squared_log_error",
    "r2",
)
OF_CLASSES = (
    "accuracy",
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "average_precision",
    "balanced_accuracy",
    "completeness_score",
    "d2_brier_score",
    "d2_log_loss_score",
    "fowlkes_mallows_score",
    "homogeneity_score",
    "matthews_corrcoef",
    "mutual_info_score",
    "neg_brier_score",
    "neg_log_loss",
    "neg_negative_likelihood_ratio",
    "normalized_mutual_info_score",
    "positive_likelihood_ratio",
    "rand_score",
    "roc_auc",
    "roc_auc_ovo",
    "roc_auc_ovo_weighted",
    "roc_auc_ovr",
    "roc_auc_ovr_weighted",
    "top_k_accuracy",
    "v_measure_score",
    *(f"{name}_{average}" for name in _AVERAGED for average in ("macro", "micro", "weighted")),
)
SCORERS = (*OF_CLASSES, *OF_A_TRUE_CLASS, *OF_NUMBERS, *OF_LABELS)
