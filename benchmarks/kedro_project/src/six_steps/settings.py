"""Kedro's settings: one environment for the configuration is enough."""

CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "base"}
