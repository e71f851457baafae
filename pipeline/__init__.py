"""What main.py stands on: typed config, choice of W&B, step runner and summary."""

import os

# Whether the user's shell says anything of MLflow's telemetry: `python -m pipeline doctor` asks.
TELEMETRY_DECIDED = "MLFLOW_DISABLE_TELEMETRY" in os.environ
# MLflow reads this when it is imported, so no later place would do. Whoever wants its telemetry
# sets the variable to false.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# Records of steps are small: a progress bar for each would only clutter the output.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# With an MLflow server, it would print two links at the end of each step's run.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
