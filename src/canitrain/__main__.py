"""``python -m canitrain``."""

from canitrain.cli import main

if __name__ == "__main__":
    main()
