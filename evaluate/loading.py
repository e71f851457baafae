"""Loading of exported models, without running what a stranger put into one."""

from pathlib import Path
from zipfile import BadZipFile

import skops.io
from sklearn.pipeline import Pipeline

# What a model may hold besides plain scikit-learn, numpy and Python types: the list that
# train_random_forest exports by. The list inside a model is never asked.
TRUSTED_TYPES = [
    "numpy.dtype",
    "numpy.ravel",
    "numpy.reshape",
    "pandas.Series",
    "sklearn.tree._tree.Tree",
]


class ModelError(Exception):
    """A model can't be loaded, or not safely."""


def load_model(folder: Path) -> Pipeline:
    """Load the pipeline of an exported model, after looking at what the file asks for.

    Args:
        folder: An MLflow model of the sklearn flavor in skops format.

    Raises:
        ModelError: There is none, it needs types that aren't trusted, or it doesn't load.
    """
    file = folder / "model.skops"
    if not file.is_file():
        raise ModelError(
            "it holds no model.skops. Pickled models aren't loaded, since that can run anything: "
            "export with train_random_forest."
        )
    try:
        untrusted = set(skops.io.get_untrusted_types(file=file)) - set(TRUSTED_TYPES)
        if untrusted:
            raise ModelError(
                f"it needs types that aren't trusted: {', '.join(sorted(untrusted))}. If you "
                "know them to be harmless, add them to TRUSTED_TYPES in evaluate/loading.py."
            )
        model = skops.io.load(file, trusted=TRUSTED_TYPES)
    # A file made by another version of a library can fail in any way inside skops.
    except (BadZipFile, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise ModelError(
            f"its model.skops doesn't load with the installed versions ({error})."
        ) from error
    if not isinstance(model, Pipeline):
        raise ModelError(f"its model.skops holds a {type(model).__name__}, not a Pipeline.")
    return model
