"""Write two thousand digits as TFRecord files, in a folder that `--dataset digits` takes."""

from pathlib import Path

import numpy as np
import tensorflow as tf

import cnnlab

mnist = cnnlab.datasets.load("mnist")
Path("digits").mkdir(exist_ok=True)
for name, split in (("train", mnist.train[:2000]), ("test", mnist.test[:500])):
    images = np.rint(split.images * 255).astype(np.uint8)
    for shard in range(2):
        with tf.io.TFRecordWriter(f"digits/{name}-{shard:05}-of-00002.tfrecord") as writer:
            for image, label in zip(images[shard::2], split.labels[shard::2], strict=True):
                record = tf.train.Example()
                record.features.feature["image"].bytes_list.value.append(tf.io.encode_png(image).numpy())
                record.features.feature["label"].int64_list.value.append(label)
                writer.write(record.SerializeToString())
