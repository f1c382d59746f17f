"""Seeds are kept: every built-in analysis gives the arrays that it gave when they were first recorded.

golden.npz holds what version 0.1.0 gave. Floats differ from processor to processor in their last digits, and where a
decision hangs on these, a pixel's: of an array of floats one value in a hundred may, of one of whole numbers none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnlab

FILE = Path(__file__).with_name("golden.npz")
SHAPE = (8, 8, 1)

CASES = {
    "occlusion": ("occlusion", {"patch": 3, "stride": 2}),
    "occlusion-logit": ("occlusion", {"fill": "mean", "score": "logit"}),
    "filters": ("filters", {"maximize": True, "steps": 8}),
    "activations": ("activations", {}),
    "saliency": ("saliency", {"method": "vanilla", "signed": True}),
    "saliency-smoothgrad": ("saliency", {"method": "smoothgrad", "samples": 4}),
    "saliency-gradcam": ("saliency", {"method": "gradcam", "sanity": True, "steps": 4}),
    "saliency-scorecam": ("saliency", {"method": "scorecam"}),
    "fooling": ("fooling", {"seeds": 2, "steps": 30, "confidence": 0.8}),
    "fgsm": ("fgsm-untargeted", {"epsilon": (0.05, 0.2)}),
    "pgd": ("fgsm-untargeted", {"epsilon": 0.1, "steps": 5, "norm": "l2", "random_start": True}),
    "targeted": ("targeted", {"target": 1, "beta": (0.5, 2.0), "steps": 12}),
    "targeted-all": ("targeted", {"target": "all", "steps": 8}),
    "noise-addition": ("noise-addition", {"target": 2, "steps": 20, "epsilon": 0.3}),
    "noise-addition-each": ("noise-addition", {"target": 2, "steps": 6, "per_image": True}),
    "robustness": ("robustness", {"epsilon": (0.05, 0.1), "steps": 4, "minimal": True}),
}


def make_model():
    """A small network whose weights are no framework's random numbers."""
    import keras

    drawn = np.random.default_rng(7)
    model = keras.Sequential(
        [
            keras.Input(SHAPE, name="image"),
            keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="conv1"),
            keras.layers.MaxPooling2D(2, name="pool1"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(4, name="scores"),
        ],
        name="golden",  # shuffled weights depend on their names
    )
    model.set_weights([drawn.normal(0, 0.5, weight.shape).astype(np.float32) for weight in model.get_weights()])
    return cnnlab.load(model, input_range=(0, 1))


def arrays_of(case: str, model: Any) -> dict[str, np.ndarray]:
    """What an analysis gives for four images, as text for names."""
    name, params = CASES[case]
    drawn = np.random.default_rng(5)
    images, labels = drawn.random((4, *SHAPE), dtype=np.float32), drawn.integers(0, 4, 4)
    given = (None, None) if name == "filters" else (images, labels)
    return dict(cnnlab.analyze(name, model, *given, seed=3, **params).arrays)


@pytest.fixture(scope="module")
def model() -> Any:
    return make_model()


@pytest.fixture(scope="module")
def golden() -> dict[str, dict[str, np.ndarray]]:
    with np.load(FILE) as archive:
        found: dict[str, dict[str, np.ndarray]] = {}
        for key in archive.files:
            case, _, name = key.partition("|")
            found.setdefault(case, {})[name] = archive[key]
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_arrays_that_it_always_gave(golden, model, case):
    found, due = arrays_of(case, model), golden[case]
    missing = sorted(set(due) - set(found))
    assert not missing, "an array that was promised is gone"
    for name, array in due.items():
        assert found[name].shape == array.shape, name
        assert found[name].dtype == array.dtype, name
        if array.dtype.kind == "f":
            close = np.isclose(found[name], array, rtol=1e-3, atol=1e-4, equal_nan=True)
            assert close.mean() >= 0.99, f"{name}: {(~close).sum()} of {close.size} values differ"
        else:
            np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_every_built_in_analysis_is_held_to_what_it_gave():
    from cnnlab.pluginhost import registry

    built_in = {name for name, made in registry.analyses().items() if registry.provider(made).distribution == "cnnlab"}
    assert {name for name, _ in CASES.values()} == built_in


if __name__ == "__main__":
    made = make_model()
    recorded = {f"{case}|{name}": array for case in CASES for name, array in arrays_of(case, made).items()}
    np.savez_compressed(FILE, **recorded)
