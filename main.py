"""The pipeline on one page: which step, with which parameters, from what to what."""

import sys

from pipeline.compiling import take_from_caller
from pipeline.early import ending_at_once

with ending_at_once():
    take_from_caller()
    import hydra
    from omegaconf import DictConfig

    from pipeline.config import validate
    from pipeline.cores import share_cores
    from pipeline.runner import Pipeline, absolute_source
    from pipeline.start import run_main
    from pipeline.steps import Alias, Made, Source


@hydra.main(version_base="1.3", config_path=".", config_name="config")
def run_pipeline(composed: DictConfig) -> float | None:
    """Run the steps that the config names.

    Args:
        composed: config.yaml with the data set and the overrides.

    Returns:
        Validation score by the first metric, which a sweep optimises; None if nothing was trained.
    """
    config = validate(composed)
    names, data, forest = config.artifacts, config.dataset, config.random_forest_pipeline
    seed = config.main.random_seed
    with Pipeline(config) as pipeline:
        (raw,) = pipeline.step(
            "download",
            url=Source(absolute_source(data.url), data.sha256),
            sha256=data.sha256,
            timeout=config.download.timeout,
            retries=config.download.retries,
            output_artifact=Made(names.raw_data),
        )
        (clean,) = pipeline.step(
            "preprocess",
            input_artifact=raw,
            target=data.target,
            output_artifact=Made(names.clean_data),
        )
        pipeline.step(
            "check_data",
            sample_artifact=clean,
            reference_artifact=pipeline.reference(clean, config.check_data.reference_artifact),
            dataset=data,
            ks_alpha=config.check_data.ks_alpha,
            accept_drift=config.check_data.accept_drift,
            report_artifact=Made(names.check_report),
        )
        train, test = pipeline.step(
            "segregate",
            input_artifact=clean,
            test_size=config.segregate.test_size,
            stratify=config.segregate.stratify,
            random_seed=seed,
            train_artifact=Made(names.train_data),
            test_artifact=Made(names.test_data),
        )
        (model,) = pipeline.step(
            "train_random_forest",
            train_artifact=train,
            dataset=data,
            model_config={
                "random_forest": share_cores(forest.random_forest),
                "tfidf": forest.tfidf,
            },
            metrics=config.metrics,
            validation_size=forest.validation_size,
            stratify=forest.stratify,
            random_seed=seed,
            export_artifact=Made(forest.export_artifact),
        )
        pipeline.step(
            "evaluate",
            model_artifact=model,
            test_artifact=test,
            dataset=data,
            metrics=config.metrics,
            thresholds=config.evaluate.thresholds,
            promote=config.evaluate.promote,
            production_alias=Alias(config.evaluate.production_alias, model),
            previous_alias=config.evaluate.previous_alias,
            max_class_regression=config.evaluate.max_class_regression,
            resamples=config.evaluate.resamples,
            confidence=config.evaluate.confidence,
            random_seed=seed,
            card_artifact=Made(names.model_card),
        )
        return pipeline.run().validation_score


if __name__ == "__main__":
    sys.exit(run_main(run_pipeline))
