"""Profiles, datasets, calibration and the GPU catalog: files of ``profiles/`` (and a reader's own) as core records."""

from canitrain.catalog.calibration import load_calibration
from canitrain.catalog.cards import describe_gpus, find_card, load_cards
from canitrain.catalog.datasets import dataset_names, load_dataset
from canitrain.catalog.hardware_file import load_hardware
from canitrain.catalog.identify import complete
from canitrain.catalog.models import find_entry, list_models, load_model, model_names

__all__ = [
    "complete",
    "dataset_names",
    "describe_gpus",
    "find_card",
    "find_entry",
    "list_models",
    "load_calibration",
    "load_cards",
    "load_dataset",
    "load_hardware",
    "load_model",
    "model_names",
]
