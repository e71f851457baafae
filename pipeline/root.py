"""Where the project is."""

from pathlib import Path

# Folder of main.py, config.yaml and the components.
ROOT = Path(__file__).resolve().parent.parent
