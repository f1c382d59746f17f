"""The attack engine: what the adversarial analyses share.

An :class:`Attack` says what is climbed (an objective on the logits, less penalties), within what (an L-infinity or L2
ball, the box of the model's value range), how (a step rule), from where (a start) and until when (a goal). Its
:meth:`Attack.run` does that for many images and many strengths in one compiled loop. :func:`learn_noise` learns one
noise for a whole set of images with the same pieces; :func:`sweep`, :func:`smallest_epsilon` and :func:`largest_beta`
search the strength per image.

Importing this package imports TensorFlow; plugins import it in the module that runs.
"""

from __future__ import annotations

from cnnlab.attacks.attack import Attack, Outcome, fgsm, pgd
from cnnlab.attacks.goals import Confident, Fooled, Goal
from cnnlab.attacks.minimal import Nearest, Smallest, largest_beta, smallest_epsilon, sweep
from cnnlab.attacks.objectives import (
    ClassLogit,
    CrossEntropy,
    Energy,
    LogOdds,
    Margin,
    Objective,
    Penalty,
    SquaredDistance,
    TotalVariation,
)
from cnnlab.attacks.starts import AtImage, GaussianNoise, Start, UniformNoise, stream
from cnnlab.attacks.steps import Adam, NormalisedGradient, Sign, Step
from cnnlab.attacks.universal import Learned, learn_noise
from cnnlab.perturbations import Norm, add_noise, distances, from_8bit, norms, outside, round_8bit, to_8bit, tolerance

__all__ = [
    "Adam",
    "AtImage",
    "Attack",
    "ClassLogit",
    "Confident",
    "CrossEntropy",
    "Energy",
    "Fooled",
    "GaussianNoise",
    "Goal",
    "Learned",
    "LogOdds",
    "Margin",
    "Nearest",
    "Norm",
    "NormalisedGradient",
    "Objective",
    "Outcome",
    "Penalty",
    "Sign",
    "Smallest",
    "SquaredDistance",
    "Start",
    "Step",
    "TotalVariation",
    "UniformNoise",
    "add_noise",
    "distances",
    "fgsm",
    "from_8bit",
    "largest_beta",
    "learn_noise",
    "norms",
    "outside",
    "pgd",
    "round_8bit",
    "smallest_epsilon",
    "stream",
    "sweep",
    "to_8bit",
    "tolerance",
]
