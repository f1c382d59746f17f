"""Attacks: the fast gradient sign method and projected gradient descent, within a ball of the largest norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import material
from benchmarks.harness import Arrays, Race, Side, Suite, growing

ABOVE, BELOW, SWEPT = 0.02, 0.003, 0.08
"""How far the share of images that a peer leaves to be read correctly may lie above cnnlab's, and below.

Cross-entropy in float32 loses the direction of images that are read with certainty; cnnlab's log-odds keep it. And
an image that was fooled on the way may be read correctly again at a peer's last step. The last is how far above where
cnnlab goes through several epsilons and begins at what it found before, which finds more.
"""


def step_of(epsilon: float, steps: int) -> float:
    return epsilon * min(1.0, 2.5 / steps)


def pgd_by_cnnlab(images: int, steps: int, epsilons: list[float]) -> Any:
    """The engine that every attacking plugin uses; of several epsilons the sweep of ``cnnlab analyze robustness``."""
    import cnnlab
    from cnnlab.plugin import pgd, sweep

    classifier = cnnlab.load(material.in_keras("classic"))
    shown, labels = material.digits(count=images)
    attack = pgd(steps=steps, random_start=False)
    return lambda: {"adversarial": sweep(attack, classifier, shown, labels, epsilons=epsilons).adversarial}


def pgd_by(attack: Callable[..., Any]) -> Callable[..., Any]:
    """The same by a peer, which takes the epsilons one after the other."""

    def make(images: int, steps: int, epsilons: list[float]) -> Any:
        shown, labels = material.digits(count=images)
        attacks = [attack(shown, labels, epsilon, steps) for epsilon in epsilons]
        return lambda: {"adversarial": np.stack([np.asarray(do()) for do in attacks])}

    return make


def cleverhans_pgd(shown: np.ndarray, labels: np.ndarray, epsilon: float, steps: int) -> Any:
    import tensorflow as tf
    from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

    model, x, y = material.in_keras("classic"), tf.constant(shown), tf.constant(labels)
    fixed = {"y": y, "clip_min": 0.0, "clip_max": 1.0, "rand_init": False, "sanity_checks": False}
    return lambda: projected_gradient_descent(model, x, epsilon, step_of(epsilon, steps), steps, np.inf, **fixed)


def foolbox_pgd(shown: np.ndarray, labels: np.ndarray, epsilon: float, steps: int) -> Any:
    import foolbox
    import tensorflow as tf

    wrapped = foolbox.TensorFlowModel(material.in_keras("classic"), bounds=(0, 1))
    kind = foolbox.attacks.LinfProjectedGradientDescentAttack
    attack = kind(steps=steps, abs_stepsize=step_of(epsilon, steps), random_start=False)
    x, y = tf.constant(shown), tf.constant(labels)
    return lambda: attack(wrapped, x, y, epsilons=epsilon)[1]


def art_classifier() -> Any:
    import tensorflow as tf
    from art.estimators.classification import TensorFlowV2Classifier

    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return TensorFlowV2Classifier(material.in_keras("classic"), 10, (28, 28, 1), loss_object=loss, clip_values=(0, 1))


def art_pgd(shown: np.ndarray, labels: np.ndarray, epsilon: float, steps: int) -> Any:
    from art.attacks.evasion import ProjectedGradientDescent

    attack = ProjectedGradientDescent(
        art_classifier(),
        eps=epsilon,
        eps_step=step_of(epsilon, steps),
        max_iter=steps,
        num_random_init=0,
        batch_size=len(shown),
        verbose=False,
    )
    return lambda: attack.generate(shown, labels)


def fgsm_by_cnnlab(images: int, epsilon: float) -> Any:
    """The analysis as a user asks for it: labels before and after, what is left in 8 bits, and its verification."""
    import cnnlab

    classifier = cnnlab.load(material.in_keras("classic"))
    shown, labels = material.digits(count=images)

    def work() -> Arrays:
        result = cnnlab.analyze("fgsm-untargeted", classifier, shown, labels, epsilon=[epsilon], progress=False)
        return {"adversarial": result.arrays["adversarial"].reshape(1, *shown.shape)}

    return work


def fgsm_by(attack: Callable[..., Any]) -> Callable[..., Any]:
    """The same by a peer, with ``model.predict`` before and after."""

    def make(images: int, epsilon: float) -> Any:
        shown, labels = material.digits(count=images)
        model, do = material.in_keras("classic"), attack(shown, labels, epsilon)

        def work() -> Arrays:
            before = model.predict(shown, batch_size=500, verbose=0).argmax(axis=1)
            adversarial = np.asarray(do())
            after = model.predict(adversarial, batch_size=500, verbose=0).argmax(axis=1)
            return {"adversarial": adversarial[None], "before": before, "after": after}

        return work

    return make


def cleverhans_fgsm(shown: np.ndarray, labels: np.ndarray, epsilon: float) -> Any:
    import tensorflow as tf
    from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

    model, x, y = material.in_keras("classic"), tf.constant(shown), tf.constant(labels)
    return lambda: fast_gradient_method(model, x, epsilon, np.inf, y=y, clip_min=0.0, clip_max=1.0)


def foolbox_fgsm(shown: np.ndarray, labels: np.ndarray, epsilon: float) -> Any:
    import foolbox
    import tensorflow as tf

    wrapped = foolbox.TensorFlowModel(material.in_keras("classic"), bounds=(0, 1))
    attack, x, y = foolbox.attacks.LinfFastGradientAttack(), tf.constant(shown), tf.constant(labels)
    return lambda: attack(wrapped, x, y, epsilons=epsilon)[1]


def art_fgsm(shown: np.ndarray, labels: np.ndarray, epsilon: float) -> Any:
    from art.attacks.evasion import FastGradientMethod

    attack = FastGradientMethod(art_classifier(), eps=epsilon, batch_size=len(shown))
    return lambda: attack.generate(shown, labels)


def same_accuracies(epsilons: list[float], above: float = ABOVE) -> Callable[[Mapping[str, Arrays]], dict[str, float]]:
    """Read what each side made in NumPy: all within the ball, and as many read correctly at each epsilon."""

    def agree(found: Mapping[str, Arrays]) -> dict[str, float]:
        checks: dict[str, float] = {}
        count = len(next(iter(found.values()))["adversarial"][0])
        shown, labels = material.digits(count=count)
        for name, each in found.items():
            at = epsilons if len(each["adversarial"]) == len(epsilons) else [epsilons[(len(epsilons) - 1) // 2]]
            for epsilon, adversarial in zip(at, each["adversarial"], strict=True):
                assert np.abs(adversarial - shown).max() <= epsilon + 1e-6, f"{name} leaves the ball of {epsilon}"
                assert adversarial.min() >= 0, f"{name} leaves the value range"
                assert adversarial.max() <= 1, f"{name} leaves the value range"
                right = material.logits("classic", adversarial).argmax(axis=1) == labels
                checks[f"read correctly at {epsilon}, {name}"] = float(right.mean())
        for epsilon in epsilons:
            read = {check: value for check, value in checks.items() if f" at {epsilon}," in check}
            own = min(value for check, value in read.items() if "cnnlab" in check)
            assert all(own - BELOW <= other <= own + above for other in read.values()), checks
        return checks

    return agree


PEERS = {"CleverHans": cleverhans_pgd, "Foolbox": foolbox_pgd, "ART": art_pgd}
PGD = Race(
    name="pgd",
    title="PGD of 40 steps, epsilon 0.3",
    sides=(
        Side("cnnlab", "cnnlab", pgd_by_cnnlab),
        *(Side(name, "tensorflow", pgd_by(do)) for name, do in PEERS.items()),
    ),
    given={"images": 2000, "steps": 40, "epsilons": [0.3]},
    agree=same_accuracies([0.3]),
    rounds=2,
)
WANTED = {
    0.1: {"CleverHans": "≥ 1.7", "Foolbox": "≥ 4", "ART": "≥ 4"},
    0.3: {"CleverHans": "≥ 4.5", "Foolbox": "≥ 10", "ART": "≥ 10"},
}
BY_EPSILON = tuple(
    replace(race, wanted=WANTED.get(race.given["epsilons"][0], {}), agree=same_accuracies(race.given["epsilons"]))
    for race in growing(
        replace(PGD, name="epsilon", title="PGD of 40 steps of 2,000 images"),
        "epsilon",
        {epsilon: {"epsilons": [epsilon]} for epsilon in WANTED},
    )
)
BY_IMAGES = tuple(
    replace(race, quick=race.given["images"] == 500)
    for race in growing(
        replace(PGD, name="images", sides=PGD.sides[:3]),
        "images",
        {count: {"images": count} for count in (125, 500, 2000)},
    )
)
BY_STEPS = growing(
    replace(
        PGD,
        name="steps",
        title="PGD of 500 images, epsilon 0.3",
        sides=PGD.sides[:3],
        given={**PGD.given, "images": 500},
    ),
    "steps",
    {steps: {"steps": steps} for steps in (10, 40, 160)},
)
EIGHT = [0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2]
MIDDLE = EIGHT[(len(EIGHT) - 1) // 2]
"""The lower of the two in the middle, which takes longer: all eight take three times as long as the upper, 0.125."""

SEVERAL = Race(
    name="eight-epsilons",
    title=f"PGD of 40 steps of 500 images at {len(EIGHT)} epsilons, {EIGHT[0]} to {EIGHT[-1]}, and at {MIDDLE} alone",
    sides=tuple(
        Side(f"{name}, {words}", environment, make, {"epsilons": epsilons})
        for words, epsilons in ((f"{MIDDLE} alone", [MIDDLE]), ("all eight", EIGHT))
        for name, environment, make in (
            ("cnnlab", "cnnlab", pgd_by_cnnlab),
            ("Foolbox", "tensorflow", pgd_by(foolbox_pgd)),
        )
    ),
    given={"images": 500, "steps": 40},
    agree=same_accuracies(EIGHT, SWEPT),
    rounds=3,
    wanted={"cnnlab, all eight": "≤ 2.5"},
)
FGSM = Race(
    name="fgsm",
    title="FGSM of 2,000 images, epsilon 0.1, labels before and after",
    sides=(
        Side("cnnlab", "cnnlab", fgsm_by_cnnlab),
        Side("CleverHans", "tensorflow", fgsm_by(cleverhans_fgsm)),
        Side("Foolbox", "tensorflow", fgsm_by(foolbox_fgsm)),
        Side("ART", "tensorflow", fgsm_by(art_fgsm)),
    ),
    given={"images": 2000, "epsilon": 0.1},
    agree=same_accuracies([0.1]),
    rounds=7,
    quick=3,
    wanted={"CleverHans": "≥ 1"},
)

SUITE = Suite(
    name="attacks",
    title="Attacks",
    says=f"""The same images, weights, epsilon and step size (2.5 epsilon / steps), begun at the image; all are warm.
PGD is cnnlab's engine beside the peers', all images in one batch. FGSM is the whole analysis by `cnnlab.analyze`,
which reads the images before and after, also when they are rounded to 8 bits, and verifies its own claims; the peers
are given a `model.predict` before and after. What every side made is held against the ball and the value range, and
read once more by NumPy: the shares that are read correctly lie from {100 * BELOW:g} points below cnnlab's to
{100 * ABOVE:g} above: cross-entropy in float32 loses the direction of images that are read with certainty, where the
log-odds that cnnlab climbs keep it, and an image that was fooled on the way may be read correctly again at a peer's
last step. The peers take every step with every image; cnnlab leaves an image alone when it is fooled, and goes
through several epsilons from the largest down, as `cnnlab analyze robustness` does: it begins at what it found, finds
more, and leaves up to {100 * SWEPT:g} points fewer read correctly. The eight epsilons are evenly spaced from where
nearly every image withstands the attack to where nearly none does; how long they take is compared with the fourth of
them alone, {MIDDLE:g}, which fools about half of the images, for cnnlab and for Foolbox.""",
    races=(FGSM, *BY_EPSILON, *BY_IMAGES, *BY_STEPS, SEVERAL),
)
