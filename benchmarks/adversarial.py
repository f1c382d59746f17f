"""FGSM and PGD of 40 steps: cnnlab's engine beside Foolbox, ART and CleverHans, one model for all."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from side_by_side import race, rounds_from_command_line

import cnnlab
from cnnlab.attacks import fgsm, pgd
from cnnlab.training import build

EPSILON, STEPS, COUNT = 0.1, 40, 500


def peers(model, images, labels):
    """What each peer does for the same attack: (fgsm, pgd), by name. Inputs are handed over as each wants them."""
    import foolbox
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier
    from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
    from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

    step = 2.5 * EPSILON / STEPS
    x, y = tf.constant(images), tf.constant(labels)
    wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1))
    fast = foolbox.attacks.LinfFastGradientAttack()
    slow = foolbox.attacks.LinfProjectedGradientDescentAttack(steps=STEPS, abs_stepsize=step, random_start=False)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    art = TensorFlowV2Classifier(model, 10, (28, 28, 1), loss_object=loss, clip_values=(0, 1))
    art_fast = FastGradientMethod(art, eps=EPSILON, batch_size=COUNT)
    art_slow = ProjectedGradientDescent(
        art, eps=EPSILON, eps_step=step, max_iter=STEPS, num_random_init=0, batch_size=COUNT, verbose=False
    )
    clip = {"clip_min": 0.0, "clip_max": 1.0}
    return {
        "Foolbox": (lambda: fast(wrapped, x, y, epsilons=EPSILON), lambda: slow(wrapped, x, y, epsilons=EPSILON)),
        "ART": (lambda: art_fast.generate(images, labels), lambda: art_slow.generate(images, labels)),
        "CleverHans": (
            lambda: fast_gradient_method(model, x, EPSILON, np.inf, y=y, **clip),
            lambda: projected_gradient_descent(
                model, x, EPSILON, step, STEPS, np.inf, y=y, rand_init=False, sanity_checks=False, **clip
            ),
        ),
    }


def main() -> None:
    import keras

    split = cnnlab.datasets.load("mnist")
    model = build("mnist-cnn", (28, 28, 1), 10)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    # Random weights are fooled by anything: a short training makes the attacks work for it.
    model.fit(split.train.batch(range(10_000)), split.train.labels[:10_000], batch_size=64, epochs=2, verbose=0)
    classifier = cnnlab.load(model)
    images, labels = split.test.batch(range(COUNT)), split.test.labels[:COUNT]
    step = 2.5 * EPSILON / STEPS
    others = peers(model, images, labels)
    rounds = rounds_from_command_line(3, __doc__)
    work = {"cnnlab, FGSM": lambda: fgsm().run(classifier, images, labels, epsilon=EPSILON)}
    work |= {f"{name}, FGSM": fast for name, (fast, _) in others.items()}
    packages = ["cnnlab", "tensorflow", "keras", "foolbox", "adversarial-robustness-toolbox", "cleverhans"]
    race(
        "adversarial-fgsm",
        f"FGSM of {COUNT} images: mnist-cnn, epsilon 0.1",
        work,
        rounds=3 * rounds,
        packages=packages,
    )
    attack = pgd(steps=STEPS, random_start=False)
    work = {"cnnlab, PGD-40": lambda: attack.run(classifier, images, labels, epsilon=EPSILON, step_size=step)}
    work |= {f"{name}, PGD-40": slow for name, (_, slow) in others.items()}
    note = "cnnlab takes an image out of the batch when it is fooled; the peers take all steps with all images."
    title = f"PGD, 40 steps, of {COUNT} images: mnist-cnn, epsilon 0.1"
    race("adversarial-pgd", title, work, rounds=rounds, packages=packages, note=note)


if __name__ == "__main__":
    main()
