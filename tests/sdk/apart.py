"""A plugin of pytest that keeps what one of the SDK's tests leaves behind from the next.

Once a program has downloaded with `skip_cache`, the SDK takes the folder of that download for its
cache, for the rest of the process, and later downloads get each other's files
(`ArtifactFileCache._override_cache_path`). So which test comes first would decide what fails.
"""

from wandb.sdk.artifacts import artifact_file_cache


def pytest_runtest_teardown() -> None:
    """Have the next test make a cache of its own."""
    artifact_file_cache._build_artifact_file_cache.cache_clear()
