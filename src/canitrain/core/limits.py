"""The largest numbers that are taken from a person or a file; beyond them it is a slip of the hand."""

from __future__ import annotations

LARGEST_COUNT = 10**9
"""Images, epochs, images a step, boxes an image, or the price of an hour."""
MOST_CORES = 4096
"""Cores of one machine; the largest servers that are sold have about half."""
MOST_WORKERS = 512
"""Loader processes a GPU."""
MOST_NODES = 1024
"""Machines that train together."""
FASTEST_NETWORK_BYTES_PER_S = 1e13
"""Of one machine; the fastest that are sold have 8 x 800 Gb/s."""
LARGEST_SIDE = 4096
"""Pixels; profiles are checked up to about a quarter of it."""
LARGEST_BYTES = 2**60
"""A size that is typed or read (1 EiB): nobody has this much."""
LARGEST_NUMBER = 1e24
"""Any number of a file: a product of several of them is still finite."""
