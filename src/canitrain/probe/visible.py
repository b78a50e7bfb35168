"""Which cards a framework is allowed to see: ``CUDA_VISIBLE_DEVICES`` and its cousins.

Source: CUDA Programming Guide, "CUDA environment variables"; ROCm, "GPU isolation techniques"; oneAPI Level Zero
specification, ``ZE_AFFINITY_MASK``.
"""

from __future__ import annotations

from msgspec import structs

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu
from canitrain.probe.host import Host

VARIABLES = {
    Vendor.NVIDIA: ("CUDA_VISIBLE_DEVICES",),
    Vendor.AMD: ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
    Vendor.INTEL: ("ZE_AFFINITY_MASK",),
    Vendor.APPLE: (),
}
"""Applied in turn: HIP numbers the cards that ROCR has left, and takes CUDA's variable where its own is not set."""


def visible(host: Host, gpus: tuple[Gpu, ...], vendor: Vendor) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """The cards of ``vendor`` that a framework sees, numbered as it numbers them, and sentences on what is hidden."""
    warnings = []
    for variable in VARIABLES[vendor]:
        text = host.environment.get(variable)
        if text is None or (
            vendor is Vendor.AMD and variable.startswith("CUDA") and "HIP_VISIBLE_DEVICES" in host.environment
        ):
            continue
        shown = _select(gpus, text)
        if len(shown) < len(gpus):
            warnings.append(
                f"{variable} shows {len(shown)} of {len(gpus)} {vendor.value} cards: unset {variable} to use all"
            )
        gpus = shown
    return tuple(structs.replace(gpu, index=index) for index, gpu in enumerate(gpus)), tuple(warnings)


def is_on_visibility(sentence: str) -> bool:
    """Whether ``sentence`` is one of those that ``visible`` returns."""
    return any(sentence.startswith(f"{variable} shows ") for names in VARIABLES.values() for variable in names)


def _select(gpus: tuple[Gpu, ...], text: str) -> tuple[Gpu, ...]:
    """Cards in the order of ``text``, up to the first that does not exist; a card named twice ends it too."""
    shown: list[Gpu] = []
    for identifier in text.split(","):
        gpu = _find(gpus, identifier.strip())
        if gpu is None:
            break
        if gpu in shown:
            return ()  # CUDA then offers no card at all
        shown.append(gpu)
    return tuple(shown)


def _find(gpus: tuple[Gpu, ...], identifier: str) -> Gpu | None:
    """The one card with that number or that beginning of a UUID (``GPU-8932f937``, ``MIG-...``)."""
    whole = identifier.partition(".")[0]  # ZE_AFFINITY_MASK: card.tile
    if whole.isdecimal():
        return gpus[int(whole)] if int(whole) < len(gpus) else None
    if not identifier:
        return None
    starts = [gpu for gpu in gpus if isinstance(gpu.uuid, Known) and gpu.uuid.value.startswith(identifier)]
    return starts[0] if len(starts) == 1 else None


def unseen(host: Host, gpus: Known[tuple[Gpu, ...]] | Unknown) -> Known[tuple[Gpu, ...]] | Unknown:
    """``gpus``, or unknown where the variables that hide cards could not be read."""
    if isinstance(gpus, Known) and gpus.value and isinstance(host.environment_read, Unknown):
        return host.environment_read
    return gpus
