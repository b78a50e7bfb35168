"""The command line: reads options, calls the rooms, prints, exits."""

from canitrain.cli.app import main

__all__ = ["main"]
