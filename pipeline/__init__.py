"""What main.py stands on: typed config, choice of W&B, step runner and summary."""
