import numpy as np

from cnnlab.plugin import Chapter, Conclusion, Dataset, Picture, Result, Split


def run(classifier, inputs, params, context):
    edge = params.border
    images = inputs.images[
        :, edge : inputs.images.shape[1] - edge or None, edge : inputs.images.shape[2] - edge or None
    ]
    light = images.mean(axis=(1, 2, 3)) if images.size else np.zeros(len(images), np.float32)
    with context.progress("Looking", total=1) as advance:
        advance(1)
    return Result(
        headline=f"The images are {light.mean():.2f} bright",
        arrays={"mean": light},
        metrics={"mean": float(light.mean())},
        columns={"mean": light},
        show=lambda index: [inputs.picture(index), Picture(values=inputs.images[index, ..., 0], title="light")],
    )


def split(count, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.integers(0, 40, (count, 8, 8, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * label : 4 * label + 4] = 220
    return Split(images, labels)


def load():
    return Dataset(
        name="halves",
        train=split(64, seed=0),
        test=split(32, seed=1),
        class_names=("left", "right"),
        provenance="Drawn by this package.",
        licence="CC0-1.0",
    )


def build(input_shape, classes):
    import keras

    return keras.Sequential(
        [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes, name="logits")]
    )


def write(subject):
    answer = subject.ask("light", subject.first(8), border=1)
    return Chapter(
        says="How bright the images are.",
        figures=[answer.figure(caption="The images.")],
        metrics=[answer.metric("mean", "how bright they are")],
        conclusions=[
            Conclusion(
                says="They are bright.", holds=bool(answer.result.metrics["mean"] > 0.2), rule="The mean is above 0.2."
            )
        ],
    )
