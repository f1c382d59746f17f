"""Fourier-basis noise, after D. Yin et al., "A Fourier Perspective on Model Robustness in Computer Vision", 2019."""

from __future__ import annotations

import numpy as np

from cnnlab.plugin import At, Classifier, Context, Inputs, Picture, Result, UsageError, percent
from cnnlab_fourier import FourierParams


def run(classifier: Classifier, inputs: Inputs, params: FourierParams, context: Context) -> Result:
    """Add noise of one frequency at a time, its sign drawn for each image and channel, and count the errors."""
    labels = known_labels(inputs)
    height, width, channels = inputs.images.shape[1:]
    signs = context.rng.choice(np.float32([-1, 1]), (len(inputs), 1, 1, channels))
    low, high = classifier.bounds
    wrong = np.zeros((len(inputs), height, width), bool)
    tried = np.zeros((height, width), bool)
    for i, j in context.track(half_plane(height, width), "frequencies"):
        noise = params.norm * (high - low) * basis(i, j, height, width)
        noisy = np.clip(inputs.images + signs * noise[..., np.newaxis], low, high).astype(np.float32)
        # A frequency and its opposite are the same real noise.
        wrong[:, i, j] = wrong[:, -i % height, -j % width] = classifier.predict(noisy) != labels
        tried[i, j] = tried[-i % height, -j % width] = True
        # Somebody may watch, as in the lab: what is not known yet is NaN.
        context.preview(lambda: picture(np.fft.fftshift(np.where(tried, wrong.mean(axis=0), np.nan)), params))
    error_rate = np.fft.fftshift(wrong.mean(axis=0))
    misread = classifier.predict(inputs.images) != labels
    return Result(
        arrays={"error_rate": error_rate, "misread": misread, "misread_by_frequency": wrong},
        drawings={"": picture(At("error_rate"), params)},
    )


def picture(error_rate: np.ndarray | At, params: FourierParams) -> Picture:
    """Show the error rate under noise of each frequency, [H, W], frequency 0 at the centre."""
    return Picture(
        values=error_rate,
        title=f"Error rate under Fourier noise of L2 norm {params.norm:g}",
        scale="sequential",
        limits=(0.0, 1.0),
        unit="share of the images misread",
    )


def sum_up(classifier: Classifier, result: Result, params: FourierParams) -> Result:
    """Say what share of the images noise of each frequency makes the model misread."""
    wrong, misread = result.arrays["misread_by_frequency"], result.arrays["misread"]
    errors, clean = wrong.mean(axis=0), float(misread.mean())
    return Result(
        headline=f"Noise of one frequency makes the model misread up to {percent(float(errors.max()))} of the images, "
        f"where it misreads {percent(clean)} without noise",
        metrics={
            "clean_error": clean,
            "mean_error": float(errors.mean()),
            "worst_error": float(errors.max()),
            **{name: float(share) for name, share in by_frequency(errors).items()},
        },
        columns={"clean_error": misread.astype(float), **by_frequency(wrong)},
    )


def known_labels(inputs: Inputs) -> np.ndarray:
    """Return the labels, all of which must be known: an error rate needs the truth."""
    if (inputs.labels < 0).any():
        raise UsageError(
            "fourier counts errors and needs the true labels: use --dataset, or give --label with --image."
        )
    return inputs.labels


def basis(i: int, j: int, height: int, width: int) -> np.ndarray:
    """Return the real image [H, W] of L2 norm 1 whose Fourier transform is zero but at (i, j) and (-i, -j)."""
    spectrum = np.zeros((height, width), np.complex128)
    # The phase makes the noise a sum of sine and cosine, so that no frequency falls on the zeros of one of them.
    spectrum[i, j] += 1 + 1j
    spectrum[-i % height, -j % width] += 1 - 1j
    image = np.fft.ifft2(spectrum).real
    return image / np.linalg.norm(image)


def half_plane(height: int, width: int) -> list[tuple[int, int]]:
    """Return one of each pair of opposite frequencies."""
    return [(i, j) for i in range(height) for j in range(width) if (i, j) <= (-i % height, -j % width)]


def by_frequency(errors: np.ndarray) -> dict[str, np.ndarray]:
    """Mean error below and from half the highest frequency of the shorter side: of [..., H, W], one for each [...]."""
    height, width = errors.shape[-2:]
    distance = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width))
    is_low = distance < 0.25
    return {
        "low_frequency_error": errors[..., is_low].mean(axis=-1),
        "high_frequency_error": errors[..., ~is_low].mean(axis=-1),
    }
