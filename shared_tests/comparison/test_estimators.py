"""The comparison with scikit-learn's networks: what it measures, and the table it makes of that."""

from sklearn.datasets import load_iris

from comparison import estimators


def test_every_estimator_is_measured_in_every_split():
    parameters = {"hidden_layer_sizes": (3,), "max_iter": 2}
    measured = estimators.compare(load_iris, parameters, repeats=1)
    assert list(measured) == [estimators.THEIRS, "cython_core", "numpy_vectorized", "pure_python"]
    for of_kind in measured.values():
        assert len(of_kind["accuracy"]) == len(of_kind["seconds"]) == estimators.SPLITS
    assert measured["pure_python"]["accuracy"] == measured["cython_core"]["accuracy"]
    assert [row[1] for row in estimators.rows("iris", measured)][0] == "scikit-learn"


def test_the_table():
    theirs = {"accuracy": [0.9, 0.8], "seconds": [1.0, 4.0]}
    ours = {"accuracy": [0.9, 0.9], "seconds": [0.5, 1.0]}
    rows = estimators.rows("iris", {"scikit-learn": theirs, "cython_core": ours})
    assert rows == [
        ["iris", "scikit-learn", "85.0 % ± 7.1", "", "2.5 s", "1"],
        ["iris", "`cython_core`", "90.0 % ± 0.0", "+5.0", "0.75 s", "3"],
    ]
