"""Where the data lies."""

from __future__ import annotations

from pathlib import Path

from canitrain.core.errors import CatalogError

_PACKAGE = Path(__file__).resolve().parent.parent


def profiles_path(package: Path = _PACKAGE) -> Path:
    """The ``profiles`` folder: inside the package in a wheel, at the top of the repository in an editable install.

    Args:
        package: the folder of the installed ``canitrain`` package.

    Raises:
        CatalogError: neither is there; the installation is damaged.
    """
    in_wheel, in_repository = package / "profiles", package.parent.parent / "profiles"
    for candidate in (in_wheel, in_repository):
        if (candidate / "gpus").is_dir():
            return candidate
    raise CatalogError(
        f"the data folder is neither {in_wheel} nor {in_repository}",
        hint="install canitrain again: pip install --force-reinstall canitrain",
    )
