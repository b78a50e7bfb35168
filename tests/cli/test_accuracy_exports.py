"""``canitrain accuracy`` on files as spreadsheets, pandas and loggers export them."""

from __future__ import annotations

import json

import pytest

from canitrain.cli.app import run


@pytest.fixture
def rows_of(tmp_path, capsys):
    """The rows of a file of ``raw`` bytes, and what was said on stderr."""

    def command(raw):
        path = tmp_path / "runs.csv"
        path.write_bytes(raw)
        code = run(["accuracy", "--measurements", str(path), "--json"])
        said = capsys.readouterr()
        assert code == 0, said.err
        return json.loads(said.out)["rows"], said.err

    return command


def test_excel_of_countries_with_a_decimal_comma(rows_of):
    text = (
        "sep=;\r\nmodel;batch_size;gpu;memory_kind;memory_bytes;step_s;Gr\u00f6\u00dfe\r\n"
        "yolov5m;16;RTX 3090;reserved;6.100.000.000;0,13;gro\u00df\r\n;;;;;;\r\n"
    )
    rows, said = rows_of(text.encode("cp1252"))
    assert [row["measured"] for row in rows] == [6.1e9, 0.13]
    assert rows[0]["row"] == 3
    assert said == "note: not read: column Gr\u00f6\u00dfe\n"


def test_excel_s_unicode_text_with_headers_as_people_write_them(rows_of):
    rows, _ = rows_of("Model\tBatch Size\tGPU\tStep_s\nyolov5s\t16\tT4\t0.2\n".encode("utf-16"))
    assert [row["measured"] for row in rows] == [0.2]


def test_pandas_with_its_index_and_its_nan(rows_of):
    rows, said = rows_of(
        b",model,batch_size,gpu,gpus,step_s,memory_bytes,validated\n"
        b"0,yolov5s,16.0,T4,1.0,0.2,NaN,True\n1,yolov5s,16.0,T4,,0.3,nan,False\n"
    )
    assert [(row["gpus"], row["measured"]) for row in rows] == [(1, 0.2), (1, 0.3)]
    assert said == ""


def test_an_unnamed_index_twice_is_no_column_twice(rows_of):
    rows, _ = rows_of(b",,model,batch_size,gpu,step_s\n0,0,yolov5s,16,T4,0.2\n")
    assert len(rows) == 1


def test_a_logger_s_export_of_all_its_runs(rows_of):
    rows, said = rows_of(
        b'"Name","State","Runtime","GPU Type","GPU Count","model","batch_size","imgsz","epochs","amp","step_s"\n'
        b'"fresh-sun-1","finished","7200","Tesla T4","1","yolov5s","16","640","3","true","0.2"\n'
    )
    assert [(row["image_size"], row["gpu"], row["measured"]) for row in rows] == [("640", "Tesla T4", 0.2)]
    assert said == "note: not read: column Name, State, Runtime, epochs, amp\n"


@pytest.mark.parametrize(
    ("step_s", "number"),
    [("0,25", 0.25), ("2,5E-01", 0.25), ("1.234,5", 1234.5), ("0.25", 0.25), ("1 234,5", 1234.5), ("250 ms", 0.25)],
)
def test_numbers_of_a_file_with_decimal_commas(rows_of, step_s, number):
    rows, _ = rows_of(f"model;batch_size;gpu;step_s\nyolov5s;16;T4;{step_s}\nyolov5s;16;T4;0,5\n".encode())
    assert [row["measured"] for row in rows] == [number, 0.5]


def test_counts_may_have_thousands(rows_of):
    rows, _ = rows_of(b'model,batch_size,gpu,images,epoch_s\nyolov5s,16,T4,"118,287",900\nyolov5s,16,T4,118287,900\n')
    one, other = rows
    assert one["images"] == other["images"] == 118287


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            b"model;batch_size;gpu;step_s\nyolov5s;16;T4;1.234\nyolov5s;16;T4;0,5\n",
            "step_s is '1.234', and may mean two",
        ),
        (
            b"model;batch_size;gpu;step_s\nyolov5s;16;T4;1.234 s\nyolov5s;16;T4;0,5\n",
            "step_s is '1.234 s', and may mean two",
        ),
        (b'model,batch_size,gpu,step_s\nyolov5s,16,T4,"1,234"\n', "step_s is '1,234', and may mean two"),
    ],
)
def test_a_number_that_could_be_two_is_refused(tmp_path, capsys, file, message):
    path = tmp_path / "runs.csv"
    path.write_bytes(file)
    assert run(["accuracy", "--measurements", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"row 2: {message}" in said
    assert "hint: write 1234 or 1.234, whichever it is" in said
