"""Tools that keep a machine fit for pipelines: `doctor` looks, `clean` makes room."""
