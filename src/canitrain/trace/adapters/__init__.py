"""One adapter a library: its models, its loss, its training script's defaults."""
