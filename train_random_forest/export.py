"""Export of the fitted pipeline as an MLflow model: same pipeline, same bytes."""

import hashlib
import io
import json
import os
import warnings
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

# What a model may hold besides plain scikit-learn, numpy and Python types. evaluate keeps the
# same list, and loads nothing else.
TRUSTED_TYPES = [
    "numpy.dtype",
    "numpy.ravel",
    "numpy.reshape",
    "pandas.Series",
    "sklearn.tree._tree.Tree",
]
# All that predicting and serving needs; numpy and scipy stand here because they decide results.
REQUIREMENTS = ["mlflow-skinny", "numpy", "pandas", "scikit-learn", "scipy", "skops"]
# For the numbers of forests, twice as fast as the default, for a tenth more bytes.
COMPRESSION = 3
# The times in the files say nothing: the artifact's version knows when it was made.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
MODEL_TIME = "1980-01-01 00:00:00"


def export_model(pipeline: Pipeline, examples: pd.DataFrame, folder: Path) -> None:
    """Save a fitted pipeline as an MLflow model with signature, examples and requirements.

    Args:
        pipeline: The fitted model; needs no type outside scikit-learn but TRUSTED_TYPES.
        examples: A few raw rows with the input columns, nulls allowed.
        folder: Where the model goes; must not exist.
    """
    # Read when mlflow is imported; whoever wants telemetry sets it to false.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow.sklearn
    from mlflow.models import Model
    from mlflow.utils import requirements_utils

    # MLflow reads the metadata of all packages for the name of a module without a version of its
    # own: a fifth of the export. Nothing in REQUIREMENTS is such, and nothing public says so.
    requirements_utils._MODULES_TO_PACKAGES = {}  # type: ignore[assignment]

    model = Model(utc_time_created=MODEL_TIME, model_uuid=None)
    mlflow.sklearn.save_model(
        pipeline,
        folder,
        mlflow_model=model,
        serialization_format="skops",
        skops_trusted_types=TRUSTED_TYPES,
        signature=make_signature(pipeline, examples),
        input_example=make_json_ready(examples),
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
    )
    file = folder / "model.skops"
    file.write_bytes(normalise_skops(file.read_bytes()))
    model.model_uuid = hashlib.sha256(file.read_bytes()).hexdigest()[:32]
    model.model_size_bytes = file.stat().st_size
    model.save(str(folder / "MLmodel"))


def make_json_ready(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the same rows with None for every null, since JSON has no NaN."""
    ready = rows.astype(object).where(rows.notna(), None)
    # MLflow compares column names with numbers, of which pandas warns unless they are objects.
    return ready.set_axis(rows.columns.astype(object), axis="columns")


def make_signature(pipeline: Pipeline, examples: pd.DataFrame) -> Any:
    """Make the signature: every input column must be there, and each may hold nulls.

    Inputs are of any type, since the pipeline reads them itself. MLflow would check types before
    it, and refuse whole numbers where it knows fractions, nulls where it knows whole numbers, and
    a text column that is empty throughout: all in the first rows of many a CSV file.

    Args:
        pipeline: The fitted model.
        examples: Raw rows with the input columns.
    """
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inputs: list[Any] = [ColSpec(AnyType(), name) for name in examples.columns]
    predictions = pd.Series(pipeline.predict(examples))
    with warnings.catch_warnings():
        # MLflow advises against whole numbers, which a null would not fit: no prediction is one.
        warnings.filterwarnings("ignore", "Hint: Inferred schema contains integer")
        outputs = infer_signature(model_output=predictions).outputs
    return ModelSignature(inputs=Schema(inputs), outputs=outputs)


def normalise_skops(content: bytes) -> bytes:
    """Rewrite a skops file so that equal models give equal bytes, and smaller ones.

    skops names things by their address in memory, which changes from run to run; here they are
    numbered as they come. The entries of the zip get one fixed time and are compressed.

    Args:
        content: A skops file.

    Returns:
        A skops file that loads to the same object.
    """
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(target, "w") as new,
    ):
        schema = json.loads(old.read("schema.json"))
        names: dict[str, str] = {}
        number_objects(schema, {}, names)
        for old_name, new_name in names.items():
            new.writestr(entry(new_name), old.read(old_name), compresslevel=COMPRESSION)
        new.writestr(entry("schema.json"), json.dumps(schema), compresslevel=COMPRESSION)
    return target.getvalue()


def entry(name: str) -> zipfile.ZipInfo:
    """Return the header of a compressed zip entry, without the time of day."""
    info = zipfile.ZipInfo(name, ZIP_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def number_objects(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    """Replace addresses in a skops schema by numbers, in place and in order of appearance.

    Args:
        node: The schema or a part of it.
        numbers: Number by address, filled as it goes.
        names: New name by old name of the files beside the schema, filled as it goes.
    """
    if isinstance(node, list):
        for item in node:
            number_objects(item, numbers, names)
    if not isinstance(node, dict):
        return
    # Attributes and words of a vocabulary are keys, too; their values are never plain.
    if isinstance(address := node.get("__id__"), int):
        node["__id__"] = numbers.setdefault(address, len(numbers))
    if isinstance(old := node.get("file"), str):
        node["file"] = names.setdefault(old, f"{len(names)}{Path(old).suffix}")
    if isinstance(checked := node.get("_stop_words_id"), dict):
        # TfidfVectorizer notes the address of the list that it has checked, to check it once.
        checked["content"] = "0"
    for value in node.values():
        number_objects(value, numbers, names)
