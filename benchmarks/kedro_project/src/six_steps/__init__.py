"""The six steps as a Kedro project; run by the environment that with_kedro.py makes for it."""
