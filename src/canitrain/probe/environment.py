"""What surrounds this process: a container, WSL, a batch system, a continuous integration service."""

from __future__ import annotations

from canitrain.core.fact import Known
from canitrain.probe.host import Host

SERVICES = {
    "KUBERNETES_SERVICE_HOST": "Kubernetes pod",
    "SLURM_JOB_ID": "Slurm job",
    "PBS_JOBID": "PBS job",
    "LSB_JOBID": "LSF job",
    "GITHUB_ACTIONS": "GitHub Actions",
    "GITLAB_CI": "GitLab CI",
    "COLAB_RELEASE_TAG": "Google Colab",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle notebook",
}
"""Variables that each of them documents."""
CONTAINERS = {"/.dockerenv": "Docker container", "/run/.containerenv": "Podman container"}


def read_surroundings(host: Host) -> tuple[str, ...]:
    """One phrase for each thing that surrounds this process."""
    notes = [note for variable, note in SERVICES.items() if host.environment.get(variable)]
    if host.system != "Linux":
        return tuple(notes)
    root = host.names("/")
    for path, note in CONTAINERS.items():
        folder, _, name = path.rpartition("/")
        names = host.names(folder) if folder else root
        if isinstance(names, Known) and name in names.value:
            notes.append(note)
    if host.environment.get("APPTAINER_NAME") or host.environment.get("SINGULARITY_NAME"):
        notes.append("Apptainer container")
    if isinstance(host.platform, Known) and "microsoft" in host.platform.value.release.lower():
        notes.append("WSL2" if "wsl2" in host.platform.value.release.lower() else "WSL")
    return tuple(notes)
