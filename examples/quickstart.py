"""Train a small network, ask what it looks at, write a report. Half a minute on two cores."""

from pathlib import Path

import cnnlab

# A tenth of the training images and two epochs are enough for a first look; leave both out for the real thing.
run = cnnlab.train("mnist", epochs=2, limit=6000)
print(run)

# Any saved model will do in place of the run: a SavedModel folder, a .keras file, a live keras.Model.
result = cnnlab.analyze("occlusion", run, Path(__file__).with_name("7.png"), patch=6)
print(result.headline)
print(*result.save(run.path / "analyses" / "quickstart"), sep="\n")

report = cnnlab.report(run, profile="quick")
for section in report.sections:
    if section.chapter:
        print(section.title, *(each.says for each in section.chapter.conclusions), sep="\n  ")
print(*report.save(run.path / "report.html"))
