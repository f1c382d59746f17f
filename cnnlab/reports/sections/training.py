"""The section on training: how loss and accuracy went, and where they ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cnnlab.analysis.command import params_of
from cnnlab.errors import CnnlabError
from cnnlab.numerics import wilson_interval
from cnnlab.pluginhost.params import fields_of
from cnnlab.pluginhost.sources import command
from cnnlab.reports.chapter import Chapter, Conclusion, Figure, Metric
from cnnlab.reports.subject import Subject
from cnnlab.runs.comparison import curves
from cnnlab.training.settings import Settings
from cnnlab.words import percent

REPORTED = {"train_loss": 0.00845043, "val_loss": 0.03090557, "val_accuracy": 0.992}
"""What the course report came to with the classic recipe (10 epochs of MNIST, batch size 64)."""

PAST_BEST = 1.1
"""From this ratio of the last validation loss to the least, training went on for too long: epochs differ by less."""

GAP = 0.01
"""Training accuracy above validation accuracy by more than this is called overfitting: a hundredth of the images."""


def write(subject: Subject) -> Chapter:
    """Show the curves, and hold the final figures against those of the course report."""
    run = subject.run
    assert run is not None
    history, config = run.history, run.config
    if not history:
        raise CnnlabError(f"{run.history_path} holds no epoch.")
    images = int(config["dataset"]["validation_images"])
    return Chapter(
        says=f"{config['architecture']} was trained on {config['dataset']['name']} for {len(history)} epochs of "
        f"{config['dataset']['training_images']:,} images. Training numbers are means over an epoch, while the weights "
        f"still moved; validation numbers are measured at its end, on the {images:,} {config['validated_on']}.",
        figures=[
            Figure(
                drawing=curves({"": history}, validated_on=config["validated_on"]),
                caption="Cross-entropy (on a scale of powers of ten) and accuracy against epoch.",
                command=command_of(config["settings"]),
                params=config["settings"],
                seed=config["seed"],
                rows=history,
            )
        ],
        metrics=list(metrics(run.metrics, images, config["settings"])),
        conclusions=conclusions(history, run.metrics, images, len(run.class_names)),
    )


def command_of(settings: Mapping[str, Any]) -> str:
    """Return the command that trains such a run: its settings, but those that are as they are by default."""
    values = {field.public: (settings.get(field.public, field.default), field.default) for field in fields_of(Settings)}
    given = {name: value for name, (value, default) in values.items() if value != default}
    return command("train", *params_of(Settings, given))


def metrics(found: Mapping[str, float], images: int, settings: Mapping[str, Any]) -> Iterator[Metric]:
    """Return the final numbers; beside those of the classic recipe, the course report's."""
    classic = settings.get("dataset") == "mnist" and settings.get("architecture") == "mnist-cnn"
    reported = REPORTED if classic else {}
    entropy = "mean cross-entropy of the {} images with the final weights, in nats"
    yield Metric(
        name="training loss",
        value=found.get("train_loss"),
        meaning=entropy.format("training"),
        reported=reported.get("train_loss"),
    )
    yield Metric(
        name="validation loss",
        value=found.get("val_loss"),
        meaning=entropy.format("validation"),
        of=images,
        reported=reported.get("val_loss"),
    )
    yield Metric.share(
        "validation accuracy",
        round(found["val_accuracy"] * images),
        images,
        "share of the validation images that are read correctly",
        reported.get("val_accuracy"),
    )


def lucky(classes: int) -> float:
    """Return the accuracy up to which a network may know nothing."""
    return min(2 / classes, (1 + 1 / classes) / 2)


def conclusions(
    history: Sequence[Mapping[str, Any]], found: Mapping[str, float], images: int, classes: int
) -> list[Conclusion]:
    """Say whether the network learned, whether what it learned holds for other images, and whether it stopped in time.

    Args:
        history: A row for each epoch.
        found: The final numbers.
        images: How many validation images there are.
        classes: How many classes.
    """
    accuracy, chance, luck = found["val_accuracy"], 1 / classes, lucky(classes)
    low, high = (float(end) for end in wilson_interval(accuracy, images))
    gap = found["train_accuracy"] - accuracy
    losses = [row["val_loss"] for row in history]
    best = min(range(len(losses)), key=losses.__getitem__)
    ratio = losses[-1] / losses[best]
    learned = low > luck
    return [
        Conclusion(
            says=f"It {'learned' if learned else 'did not learn'}: {percent(accuracy, 2)} of the validation images are "
            f"read correctly ({percent(low, 2)} to {percent(high, 2)}), where guessing reads {percent(chance)} and "
            f"luck up to {percent(luck)}.",
            holds=learned,
            rule="A network learned where the 95% interval of its validation accuracy lies above twice that of "
            "guessing (with two classes, halfway to 100%): one that knows nothing may still treat the images of a "
            "class alike, and by luck be well above guessing.",
        ),
        Conclusion(
            says=f"{'It overfits' if gap > GAP else 'It does as well on images that it never saw'}: training accuracy "
            f"is {percent(found['train_accuracy'], 2)}, {100 * gap:+.2f} points from validation accuracy.",
            holds=gap <= GAP,
            rule=f"It overfits where training accuracy exceeds validation accuracy by more than {100 * GAP:g} "
            "percentage point.",
        ),
        Conclusion(
            says=f"{'Training went on for too long' if ratio >= PAST_BEST else 'Training stopped in time'}: validation "
            f"loss was least after epoch {best + 1} ({losses[best]:.4f}) and ended at {losses[-1]:.4f}, {ratio:.2f} "
            "times that.",
            holds=ratio < PAST_BEST,
            rule=f"Training went on for too long where the last validation loss is at least {PAST_BEST} times the "
            "least.",
        ),
    ]
