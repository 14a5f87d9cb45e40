"""The samples of the page: generated, from a CSV file, changed by hand."""

import numpy as np
import pytest

from pure_python.playground.points import EXTENT, Upload, generated, nothing
from pure_python.playground.settings import GENERATED, MOST_POINTS
from pure_python.training.errors import InputError


@pytest.mark.parametrize("name", GENERATED)
def test_generated_points(name):
    """All in the plane, every class there, the same from the same seed, others from another."""
    points = generated(name, 120, 0.5, 3, 7)
    n_classes = 3 if name in ("circles", "spiral") else 2
    assert points.inputs.shape == (120, 2) and np.abs(points.inputs).max() <= EXTENT
    assert (
        sorted(set(points.targets.tolist()))
        == list(range(n_classes))
        == list(range(points.n_classes))
    )
    assert (points.inputs == generated(name, 120, 0.5, 3, 7).inputs).all()
    assert (points.inputs != generated(name, 120, 0.5, 3, 8).inputs).any()


@pytest.mark.parametrize("name", GENERATED)
def test_no_line_parts_the_classes(name):
    """Otherwise a network would show nothing that a single neuron does not."""
    points = generated(name, 300, 0.0, 2, 0)
    design = np.column_stack([points.inputs, np.ones(300)])
    signs = 2.0 * points.targets - 1
    plane, *_ = np.linalg.lstsq(design, signs, rcond=None)
    assert ((design @ plane > 0) == (signs > 0)).mean() < 0.95


def test_points_by_hand():
    points = nothing().added(0.5, 0.25, 3)
    assert points.n_classes == 4 and len(points.classes) == 4
    assert points.moved(0, -1, 1).inputs.tolist() == [[-1, 1]]
    assert points.recoloured(0, 1).targets.tolist() == [1]
    assert len(points.deleted(0)) == 0 and nothing().n_classes == 2
    assert points.inputs.tolist() == [[0.5, 0.25]], "the points themselves never change"
    for wrong in (lambda: points.moved(1, 0, 0), lambda: points.deleted(1)):
        with pytest.raises(InputError, match="no point 1"):
            wrong()


def test_there_is_room_for_so_many():
    points = generated("moons", MOST_POINTS, 0.1, 2, 0)
    with pytest.raises(InputError, match="no room"):
        points.added(0, 0, 0)


FLOWERS = "id;petal;sepal;kind\n1;1.5;10;rose\n2;2.5;20;lily\n3;3.5;40;rose\n"


def test_a_csv_file():
    upload = Upload.read("flowers.csv", FLOWERS.encode())
    assert upload.numeric == ("id", "petal", "sepal")
    assert upload.likely_columns() == ("id", "petal", "kind")
    points = upload.points("petal", "sepal", "kind")
    assert points.classes == ("lily", "rose") and points.targets.tolist() == [1, 0, 1]
    assert np.allclose(points.inputs, [[-1.35, -1.35], [0, -0.45], [1.35, 1.35]])
    (low, high), _ = points.ranges
    # A place of the plane is a number of the file.
    assert np.allclose(
        low + (points.inputs[:, 0] + EXTENT) / (2 * EXTENT) * (high - low), [1.5, 2.5, 3.5]
    )


def test_a_large_csv_file_is_shown_in_part():
    rows = "\n".join(f"{i},{-i},{i % 3}" for i in range(3000))
    upload = Upload.read("a.csv", f"a,b,c\n{rows}\n".encode())
    points = upload.points("a", "b", "c")
    assert len(points) == MOST_POINTS and points.classes == ("0", "1", "2")


TOO_WIDE = "\n".join([",".join(f"c{k}" for k in range(1001)), ",".join("1" * 1001), ""]).encode()


@pytest.mark.parametrize(
    ("content", "columns", "says"),
    [
        (b"", None, "empty"),
        (b"\x00\x01\x02\x00", None, "not a text file"),
        (b"a,b\n1,2\n", None, "a third column"),
        (b"a,b,c\n1,x,y\n", None, "two columns of numbers"),
        (TOO_WIDE, None, "1001 columns are more than"),
        (b"a,b,c\n1,2,3\n1,2\n", None, "line 3"),
        (b"a,b,c\n1,2,u\n2,3,u\n", ("a", "b", "c"), "1 different"),
        (FLOWERS.encode(), ("petal", "petal", "kind"), "three different"),
        (FLOWERS.encode(), ("petal", "kind", "id"), "not a number"),
        (FLOWERS.encode(), ("petal", "sepal", "none"), "no column"),
        (b"a,b,c\n1e308,2,u\n-1e308,3,v\n", ("a", "b", "c"), "too large"),
    ],
)
def test_a_csv_file_that_cannot_be_shown(content, columns, says):
    with pytest.raises(InputError, match=says):
        upload = Upload.read("file.csv", content)
        upload.points(*(columns or upload.likely_columns()))
