"""Lines of a file of measured runs."""

from __future__ import annotations

HEADER = "model,image_size,batch_size,gpus,gpu,precision,optimizer,memory_kind,memory_bytes,step_s,images_per_s,source"
MODEL = "yolov5s"


def row(**changes):
    fields = {"model": MODEL, "batch_size": "16", "gpu": "A100", "memory_kind": "allocated", "memory_bytes": "2e9"}
    fields |= {name: str(value) for name, value in changes.items()}
    return ",".join(fields.get(name, "") for name in HEADER.split(","))
