"""Train a small network, ask it what it looks at, and keep the answer. About half a minute on two cores."""

from pathlib import Path

import cnnlab

SEVEN = Path(__file__).with_name("7.png")

# A tenth of the training images and two epochs are enough for a first look; leave both out for the real thing.
run = cnnlab.train("mnist", epochs=2, limit=6000)
print(run)

# Any saved model will do in place of the run: a SavedModel folder, a .keras file, a live keras.Model.
classifier = cnnlab.load(run)
for layer in classifier.layers:
    print(f"{layer.name:8} {layer.kind:8} {layer.output_shape}")

# An analysis by its name; the parameters are those of `cnnlab analyze occlusion --help`.
result = cnnlab.analyze("occlusion", classifier, SEVEN, patch=6, score="logit")
print(result.metrics)
print(*result.save(run.path / "analyses" / "quickstart"), sep="\n")
