"""Datasets by name."""

from __future__ import annotations

from canitrain.catalog.decode import decode_toml
from canitrain.catalog.locate import profiles_path
from canitrain.core.dataset import Dataset
from canitrain.core.errors import InputError


def load_dataset(name: str) -> Dataset:
    """The dataset of ``profiles/datasets/<name>.toml``.

    Raises:
        InputError: there is none of that name.
        CatalogError: it does not decode.
    """
    names = dataset_names()
    if name.lower() in names:
        return decode_toml(profiles_path() / "datasets" / f"{name.lower()}.toml", Dataset)
    import difflib  # noqa: PLC0415 -- only for an error

    near = difflib.get_close_matches(name.lower(), names, n=1)
    listed = ", ".join(names)
    raise InputError(
        f"no dataset is called {name!r}",
        hint=f"did you mean {near[0]}? there are {listed}" if near else f"there are {listed}",
    )


def dataset_names() -> tuple[str, ...]:
    """The names of all datasets that ship with canitrain, sorted."""
    return tuple(sorted(path.stem for path in (profiles_path() / "datasets").glob("*.toml")))
