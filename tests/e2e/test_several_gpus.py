"""`check` for several GPUs and several nodes."""

from __future__ import annotations

import pytest
from commands import Terminal, report

NODES = ("--gpu", "2x RTX 3060", "--ram", "64GiB", "--cpu-cores", "8", "--storage", "nvme", "--batch-size", "8")


def test_several_gpus_show_what_each_brings(terminal: Terminal) -> None:
    alone = report(terminal, model="yolov5s")["scaling"]
    shared = report(terminal, model="yolov5s", host="8x-a100")
    rates = [row["images_per_s"] for row in shared["scaling"]["rows"]]

    assert alone is None
    assert len(rates) == 8
    assert rates[-1] == pytest.approx(shared["time"]["images_per_s"])
    assert rates[1] > rates[0]


def test_one_process_for_many_gpus_is_advised_against(terminal: Terminal) -> None:
    one_process = report(terminal, "--strategy", "dp", host="8x-a100")
    (advice,) = [each for each in one_process["advice"] if each["change"] == "--strategy ddp"]

    assert one_process["time"]["bottleneck"] == "launches"
    assert advice["speedup_ratio"] > 2
    assert not any("--strategy" in each["change"] for each in report(terminal, host="8x-a100")["advice"])


def test_nodes_share_the_run_and_the_network_is_assumed_and_said(terminal: Terminal) -> None:
    one = report(terminal, *NODES, "--price-per-hour", "2", model="yolov5m")
    four = report(terminal, *NODES, "--price-per-hour", "2", "--nodes", "4", model="yolov5m")

    assert (one["recipe"]["nodes"], four["recipe"]["nodes"]) == (1, 4)
    assert four["device"] == "4 nodes of 2x GeForce RTX 3060"
    # Eight GPUs reach the effective batch without accumulation, so that no gradients are held from step to step.
    assert four["memory"]["host"] == one["memory"]["host"]
    assert four["memory"]["gpu"]["device_bytes"]["high"] < one["memory"]["gpu"]["device_bytes"]["high"]
    assert one["time"]["images_per_s"] < four["time"]["images_per_s"] < 4 * one["time"]["images_per_s"]
    assert four["time"]["cost"] == pytest.approx(four["time"]["total_s"]["expected"] / 3600 * 2 * 4)
    assert one["time"]["network"] is None
    assert four["time"]["network"]["assumed"] is True
    assert any("10 Gb/s is assumed (set --network)" in warning for warning in four["warnings"])
    assert [(row["gpus"], row["nodes"]) for row in four["scaling"]["rows"]] == [(1, 1), (2, 1), (4, 2), (8, 4)]


def test_a_slow_network_is_named_and_a_faster_one_advised(terminal: Terminal) -> None:
    slow = report(terminal, *NODES, "--nodes", "4", "--network", "1Gb/s", model="yolov5m")
    fast = report(terminal, *NODES, "--nodes", "4", "--network", "100Gb/s", model="yolov5m")
    shown = " ".join(terminal.check(*NODES, "--nodes", "4", "--network", "1Gb/s", model="yolov5m").out.split())

    assert slow["time"]["bottleneck"] == "network"
    assert slow["time"]["network"]["assumed"] is False
    assert fast["time"]["bottleneck"] != "network"
    assert any(advice["change"] == "--network 100Gb/s" for advice in slow["advice"])
    assert not any("--network" in advice["change"] for advice in fast["advice"])
    # 21.2 million parameters x 4 bytes x 2 x 7 / 8 = 148 MB
    assert "Network each of 4 nodes sends 141 MiB of gradients a step at 1 Gb/s" in shown
    assert "Waits for the network between the nodes" in shown
    assert "another brings little: they wait for the network between the nodes" in shown


@pytest.mark.parametrize("format_", ["text", "markdown", "html", "github"])
def test_every_format_tells_of_the_nodes(terminal: Terminal, format_: str) -> None:
    options = (*NODES, "--nodes", "4", "--price-per-hour", "2", "--format", format_)
    shown = " ".join(terminal.check(*options, model="yolov5m").out.split())

    for words in ("8 GPUs in 4 nodes", "each of 4 nodes: ", "of gradients a step at 10 Gb/s", "for each of 4 nodes"):
        assert words in shown


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("--strategy", "dp", "--gpu", "T4"), "--strategy dp changes nothing: the run is on one GPU"),
        (("--strategy", "ddp", "--device", "cpu"), "--strategy ddp changes nothing: the run is on the CPU"),
        (("--strategy", "dp", "--gpu", "2x T4"), None),
        (("--gpu", "T4"), None),
    ],
)
def test_a_strategy_with_nothing_to_share_is_said_to_change_nothing(
    terminal: Terminal, options: tuple[str, ...], warned: str | None
) -> None:
    document = report(terminal, *options, model="yolov5s")

    assert [warning for warning in document["warnings"] if "--strategy" in warning] == ([warned] if warned else [])


def test_two_cores_make_more_gpus_useless_and_the_report_says_why(terminal: Terminal) -> None:
    options = ("--gpu", "8x A100 80GB", "--cpu-cores", "2", "--ram", "500GiB")
    document = report(terminal, *options, model="yolov5s")
    shown = terminal.check(*options, model="yolov5s").out

    assert document["scaling"]["useful_gpus"] < 8
    assert "another brings little: they wait for the loader decoding images" in " ".join(shown.split())
