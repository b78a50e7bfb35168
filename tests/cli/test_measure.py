import json
import types

import pytest
import torch
from torch import nn

from canitrain.catalog.locate import profiles_path
from canitrain.catalog.measurements import load_measurements
from canitrain.cli import measuring
from canitrain.cli.app import run
from canitrain.core.polynomial import BatchShape


@pytest.fixture(autouse=True)
def _own_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def tiny(monkeypatch):
    """A subject that takes any batch and looks at it, in place of the library's model; the shapes that it saw."""
    shapes = []

    def build(_precision):
        model = nn.Conv2d(3, 2, 1)

        def step(batch, height, width, boxes):
            shapes.append((batch, height, width, boxes))
            return model(torch.zeros(1, 3, 4, 4)).mean()

        return types.SimpleNamespace(model=model, step=step)

    subject = types.SimpleNamespace(build=build, gradients_until_backward=False)
    monkeypatch.setattr("canitrain.trace.spec.subject_of", lambda _spec: subject)
    return shapes


def test_measure_tells_the_time_and_appends_lines_that_accuracy_reads(tiny, tmp_path, capsys):
    output = tmp_path / "runs.csv"
    arguments = ["measure", "--model", "yolov5s", "--batch-size", "8", "--steps", "2", "--output", str(output)]
    assert run(arguments) == 0
    assert run(arguments) == 0
    assert "images/s" in capsys.readouterr().out
    read = load_measurements(output)
    assert {(row.model, row.batch_size, row.image_size, row.precision) for row in read} == {
        ("yolov5s", 8, "640", "fp32")
    }
    assert len({row.row for row in read}) == len(read) >= 2
    # Twice three to warm up and two timed.
    assert tiny.count((8, 640, 640, 7)) == 2 * 5


def test_a_model_that_resizes_is_timed_at_the_mean_padded_size(tiny, capsys):
    assert run(["measure", "--model", "fasterrcnn", "--steps", "1"]) == 0
    assert "800x1333 px, batch 2, fp32" in capsys.readouterr().out
    batch, height, width, _ = tiny[-1]
    assert (batch, height) == (2, 800)
    assert width % 32 == 0
    assert 800 < width < 1344


def test_bad_input_is_refused_before_anything_runs(tiny, tmp_path, capsys):
    for options in (["--model", "yolov5z"], ["--model", "yolov5s", "--output", str(tmp_path / "no" / "runs.csv")]):
        assert run(["measure", *options]) == 2
    assert run(["measure", "-m", "yolov5s", "-b", "0"]) == 2
    assert run(["measure", "-m", "fasterrcnn", "-s", "8"]) == 2
    assert tiny == []
    assert "hint:" in capsys.readouterr().err


def test_amp_is_measured_on_a_cpu_only_where_it_was_asked_for(tiny, capsys):
    for options, precision in (([], "fp32"), (["--precision", "amp"], "amp")):
        assert run(["measure", "-m", "yolov5s", "-b", "1", "--steps", "1", *options]) == 0
        assert f"640 px, batch 1, {precision}," in capsys.readouterr().out


def test_a_profile_of_a_file_that_is_elsewhere_says_where_to_run(tiny, tmp_path, monkeypatch, capsys):
    profile = json.loads((profiles_path() / "models" / "yolov5" / "yolov5s.json").read_text())
    profile["implementation"]["spec"] = "mine.py:build"
    (tmp_path / "mine.json").write_text(json.dumps(profile))
    monkeypatch.chdir(tmp_path)
    assert run(["measure", "-m", "mine.json", "-b", "1", "--steps", "1"]) == 2
    assert "run this where mine.py lies" in capsys.readouterr().err

    (tmp_path / "mine.py").touch()
    assert run(["measure", "-m", "mine.json", "-b", "1", "--steps", "1"]) == 0


def test_sides_keep_the_pixels_of_the_shape():
    profile = types.SimpleNamespace(size_rule=measuring.SizeRule.SHORTER_SIDE, divisor=32)
    recipe = types.SimpleNamespace(image_size=measuring.catalog.load_model("fasterrcnn").defaults.image_size)
    shape = BatchShape(batch_size=2, pixels=800 * 1088, boxes=7.3)
    assert measuring.step_shape(shape, recipe, profile) == (2, 800, 1088, 7)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_a_broken_memory_of_measurements_costs_no_answer(content, tmp_path, monkeypatch, capsys):
    remembered = tmp_path / "measured-here.csv"
    remembered.write_text(content)
    monkeypatch.setattr("canitrain.measure.remembered_path", lambda: remembered)

    code = run(["check", "--model", "yolov5s", "--images", "100", "--exit-zero", "--json"])

    told = capsys.readouterr()
    assert (code, told.out[0]) == (0, "{")
    assert str(remembered) in told.err
    assert "delete it" in told.err
