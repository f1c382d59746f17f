"""A training run from its first step to its last: epochs, evaluation, checkpoints, interruption."""

from __future__ import annotations

import contextlib
import json
import math
import shlex
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from cnnlab import memory
from cnnlab.devices.choice import use_strategy
from cnnlab.devices.replicas import Replicas
from cnnlab.errors import CnnlabError
from cnnlab.files.writing import write_json
from cnnlab.interrupts import keeping, saying
from cnnlab.pluginhost import registry
from cnnlab.runs import Run, RunLock, write_history
from cnnlab.runs.folder import SETTINGS, STATE, is_run
from cnnlab.training import artifacts, checkpoint, precision, record, tensorboard as boards
from cnnlab.training.checkpoint import Position
from cnnlab.training.data import Batches, Feed, held_out, make_feed, moved
from cnnlab.training.evaluation import Evaluator
from cnnlab.training.interrupt import Interrupted, StopRequest, stop_on_interrupt
from cnnlab.training.loop import TrainingLoop
from cnnlab.training.network import POLICIES, build_network
from cnnlab.training.optimizer import make_optimizer
from cnnlab.training.precision import Choice
from cnnlab.training.recipes import decided
from cnnlab.training.reporter import Progress, Reporter
from cnnlab.training.run_choice import command_to_resume, taken
from cnnlab.training.schedules import schedule
from cnnlab.training.settings import Settings, difference
from cnnlab.training.tensorboard import Board
from cnnlab.words import few

if TYPE_CHECKING:
    from cnnlab.datasets import Dataset

CALL_SECONDS = 0.3
"""About how long one call of the compiled loop takes: how often progress is shown and Ctrl-C heard."""

SAVE_SECONDS = 300.0
"""Epochs longer than this are saved in the middle, too."""


def train_in(
    run: Run,
    settings: Settings,
    load: Callable[[], Dataset],
    device: str,
    reporter: Reporter,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    profile: bool = False,
) -> Run:
    """Train, from the beginning or from the checkpoint in the folder, and complete the run.

    The arguments are those of :func:`cnnlab.train`, but that ``load`` gives the dataset once the devices are found.

    Raises:
        CnnlabError: It could not be done; finished epochs are kept.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP; finished steps are kept.
    """
    with use_strategy(device) as replicas, replicas.heeding(lambda: _how_to_go_on(run, ", each with {}")):
        reporter.stage("Reading the data")  # with TensorFlow perhaps, which divides no device once it has begun
        dataset = load()
        _check_data(settings, dataset)
        missing = _missing_classes(settings, dataset)
        if missing:
            reporter.note(f"no training image is of {few(missing)}: the network cannot learn what it never sees.")
        if replicas.workers > 1:
            reporter.stage(f"Waiting for all {replicas.workers} processes")
            _check_alike(replicas, settings, dataset)
        choice = _precision(run, settings, replicas, reporter)
        session = Session(run, settings, dataset, choice.used, replicas, reporter)
        start = record.at_start(settings, dataset, replicas, choice, session.sizes)
        with _opened(run) if replicas.is_chief else contextlib.nullcontext(), stop_on_interrupt() as request:
            if replicas.is_chief:
                _begin(run, start, reporter, resume)
            with saying(lambda: _how_to_go_on(run)):
                logged = tensorboard or profile or (resume and run.tensorboard_path.is_dir())
                session.train(request, tensorboard=logged and replicas.is_chief, profile=profile)
                if replicas.is_chief:
                    reporter.stage("Drawing and saving")
                    artifacts.complete(run, session.evaluator, dataset, session.position.history, session.stop_if_asked)
                replicas.summed(0)  # the run is complete for all processes
    return Run(run.path)


def _check_alike(replicas: Replicas, settings: Settings, dataset: Dataset) -> None:
    own = zlib.crc32(json.dumps([settings.to_json(), decided(settings.recipe), dataset.digest]).encode())
    if int(replicas.of_chief(own)) != own:
        raise CnnlabError(
            "this process was started with other settings or other data than the first one; start all of them with the "
            "same command, the data being the same for all."
        )


def _precision(run: Run, settings: Settings, replicas: Replicas, reporter: Reporter) -> Choice:
    """What to compute in; a run that is gone on with stays with what it began in, wherever that was.

    Runs begun before `auto` was known have no record of it: their settings name what they compute in.
    """
    if (run.path / SETTINGS).exists() and "precision" in run.config:
        return Choice(**run.config["precision"])
    choice = precision.choose(_filled(settings.precision))
    used = list(POLICIES)[int(replicas.of_chief(list(POLICIES).index(choice.used)))]
    if used != choice.used:
        choice = Choice(used, "the first process has chosen so")
    if settings.precision == "auto":
        reporter.note(f"computing in {choice.used}: {choice.why}.")
    return choice


def _how_to_go_on(run: Run, words: str = "Stopped; what was saved last is kept.\nGo on with: {}") -> str:
    """What is said where training ends at once; nothing before anything is saved."""
    return words.format(command_to_resume(run.path)) if (run.path / STATE).exists() else ""


def _check_data(settings: Settings, dataset: Dataset) -> None:
    if not len(dataset.train):
        raise CnnlabError(f"the dataset {dataset.name} has no training images.")
    settings.check_against(len(dataset.train))
    if not settings.validation and not len(dataset.test):
        raise CnnlabError(
            f"the dataset {dataset.name} has no test images to evaluate. Hold out training images with `validation=N`."
        )
    labels = dataset.train.labels[: settings.limit]
    if (labels == labels[0]).all():
        which = f"the first {settings.limit:,}" if settings.limit else "all"
        raise CnnlabError(
            f"{which} training images of the dataset {dataset.name} are of one class, "
            f"{dataset.class_names[labels[0]]}: there is nothing to tell apart, and a network that always says so is "
            "never wrong. Train on images of two classes at least."
        )
    learned = int(dataset.train.labels.max())
    tested = int(dataset.test.labels.max()) if len(dataset.test) else -1
    if tested > learned:
        raise CnnlabError(
            f"the dataset {dataset.name} has labels out of range: the test images have the label {tested}, but the "
            f"largest of the training images is {learned}, so that class could not be learned."
        )


def _missing_classes(settings: Settings, dataset: Dataset) -> list[str]:
    """The names of the classes that no training image is of."""
    there = np.bincount(dataset.train.labels[: settings.limit], minlength=len(dataset.class_names))
    return [name for name, count in zip(dataset.class_names, there, strict=True) if not count]


@contextlib.contextmanager
def _opened(run: Run) -> Iterator[None]:
    """Make the folder and keep it locked. Where it ends before the first checkpoint, nothing is left of it."""
    existed, logged = run.path.exists(), run.tensorboard_path.exists()
    first = [file for file in (run.path / SETTINGS, run.history_path) if not file.exists()]
    try:
        with RunLock(run.path).hold():
            try:
                yield
            except BaseException:
                if not (run.path / STATE).exists():
                    for file in first:
                        file.unlink(missing_ok=True)
                    if not logged:
                        shutil.rmtree(run.tensorboard_path, ignore_errors=True)
                raise
    except BaseException:
        if not is_run(run.path):
            (run.checkpoint_path / "lock").unlink(missing_ok=True)
            for folder in [run.checkpoint_path, *([] if existed else [run.path])]:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        raise


def _begin(run: Run, start: dict[str, Any], reporter: Reporter, resume: bool) -> None:
    """Record the settings, or check that the data are those that the run was started with."""
    if is_run(run.path) and not resume:  # another process has begun it since the folder was chosen
        raise taken(run)
    if not (run.path / SETTINGS).exists():
        write_json(run.path / SETTINGS, start)
        return
    before = run.config
    if before["dataset"]["digest"] != start["dataset"]["digest"]:
        raise CnnlabError(
            f"{run.path} was started with other data: the digest of {before['dataset']['source']} was "
            f"{before['dataset']['digest'][:12]} and is {start['dataset']['digest'][:12]}. Restore the data, or train "
            "anew in another folder."
        )
    differs = difference(before.get("recipe", {}), start["recipe"])
    if differs:
        raise CnnlabError(
            f"{run.path} was started by another recipe {before['settings']['recipe']}, with {differs}. Install the "
            "version of its plugin that the run was started with, or train anew in another folder."
        )
    for what in ("device", "workers", "versions"):
        was, now = before.get(what), start.get(what)
        if was is not None and was != now:
            reporter.note(
                f"this run was started with {what} {was} and goes on with {now}: its weights need not be those of an "
                "uninterrupted run, bit by bit."
            )


class Session:
    """One training run in memory.

    Attributes:
        position: How far it has come.
        sizes: How many images there are to train on, to validate on and to test on.
        evaluator: Of the network as it is evaluated and saved, in float32.
    """

    def __init__(
        self,
        run: Run,
        settings: Settings,
        dataset: Dataset,
        precision: str,
        replicas: Replicas,
        reporter: Reporter,
    ) -> None:
        self._run, self._settings, self._replicas, self._reporter = run, settings, replicas, reporter
        self._request, self._board = StopRequest(), Board()
        self.position = Position()

        reporter.stage("Preparing the data")
        self._training, self._evaluated = _feeds(settings, dataset, replicas)
        self.sizes = {
            "training_images": len(self._training),
            "validation_images": len(self._evaluated),
            "test_images": len(dataset.test),
        }
        reporter.stage("Building the network")
        self._epochs = _filled(settings.epochs)
        self._batch_size = _filled(settings.batch_size)
        self._steps = math.ceil(len(self._training) / self._batch_size)
        recipe = self._recipe = registry.find_recipe(settings.recipe)
        steps = self._epochs * self._steps
        self._rate = schedule(_filled(settings.learning_rate), steps, recipe.warm_up, recipe.decay)
        with replicas.scope():
            model = self._build(settings, dataset, precision)
            self._loop = TrainingLoop(
                model,
                make_optimizer(self._rate, precision, beta_1=recipe.beta_1, beta_2=recipe.beta_2),
                self._training.scale,
                label_smoothing=recipe.label_smoothing,
                lowest=dataset.value_range[0],
                synchronized=settings.sync_batch_norm and replicas.count > 1,
            )
        plain = precision == "float32" and replicas.strategy is None
        self.evaluator = Evaluator(model if plain else self._build(settings, dataset, "float32"))

    def _build(self, settings: Settings, dataset: Dataset, precision: str) -> keras.Model:
        return build_network(
            settings.architecture,
            dataset.shape,
            len(dataset.class_names),
            settings.batch_norm,
            precision=precision,
            seed=settings.seed,
            he_normal=self._recipe.he_normal,
        )

    def train(self, request: StopRequest, *, tensorboard: bool = False, profile: bool = False) -> None:
        """Go through the epochs that remain.

        Args:
            request: Whether somebody asked to stop.
            tensorboard: Whether to write what TensorBoard shows.
            profile: Whether to profile a few steps for it.

        Raises:
            Interrupted: Somebody asked to stop; the position is saved.
            CnnlabError: The loss or a weight is no longer finite, memory ran out, or the disk is full.
        """
        self._request = request
        self.position = checkpoint.restore(
            self._run.path / STATE, self._loop.variables, epochs=self._epochs, steps=self._steps
        )
        done = [self.position.epochs_done, self.position.step]
        if self._replicas.of_chief(done).tolist() != done:
            raise CnnlabError(
                f"this process finds another checkpoint in {self._run.path} than the first one: the folder must be the "
                "same for all. Name one on a disk that they share with `out=`."
            )
        self._write_history()
        self._reporter.started(self._run.path, len(self._training), len(self._evaluated), self.position.epochs_done)
        self._copy_weights()
        self._tell_kernels()
        done = self.position.epochs_done * self._steps + self.position.step
        folder = self._run.tensorboard_path if tensorboard else None
        with boards.opened(
            folder, self._steps, done, self._loop.sums, self.position.history, profile=profile
        ) as self._board:
            if tensorboard:
                self._reporter.note(
                    f"TensorBoard shows this run: tensorboard --logdir {shlex.quote(str(self._run.path))}"
                )
            while self.position.epochs_done < self._epochs:
                self._train_epoch(self.position.epochs_done + 1)
            if self._board.profile:
                self._reporter.note("nothing was profiled: so few steps are taken before the compiled loop is warm.")
        self._board = Board()
        self._copy_weights()

    def stop_if_asked(self) -> None:
        """Save and stop, where somebody asked for it.

        Raises:
            Interrupted: Somebody did.
        """
        if self._request.asked:
            self._stop()

    def _stop(self) -> None:
        self._save()
        done = f"{self.position.epochs_done} of {self._epochs} epochs"
        if self.position.step:
            done += f" and {self.position.step} of {self._steps} steps of the next"
        raise Interrupted(f"Stopped; {done} are done and kept.\nGo on with: {command_to_resume(self._run.path)}")

    def _train_epoch(self, epoch: int) -> None:
        position, settings = self.position, self._settings
        if position.step == 0:
            self._loop.begin_epoch()
        self._reporter.epoch_started(epoch, self._epochs, self._steps)
        count = len(self._training)
        order = self._training.order(settings.seed, epoch)
        moves = moved(count, self._recipe.shift, settings.seed, epoch)
        self._take_steps(epoch, self._training.batches(order, self._batch_size, first=position.step, moves=moves))
        self._copy_weights()
        loss, accuracy = self._evaluate()
        if not math.isfinite(loss):
            raise CnnlabError(self._divergence(f"by the end of epoch {epoch}", "the loss of the evaluated images"))
        row = {
            "epoch": epoch,
            "loss": self._loop.loss,
            "accuracy": self._loop.accuracy,
            "val_loss": loss,
            "val_accuracy": accuracy,
            "seconds": round(position.seconds, 3),
        }
        self._board.epoch(row, self.evaluator.model)
        self.position = Position(epochs_done=epoch, history=[*position.history, row])
        self._save()
        self._write_history()
        self._tell_kernels()
        self._reporter.epoch_finished(row, self._epochs)

    def _tell_kernels(self) -> None:
        layer = boards.first_convolution(self.evaluator.model)
        if layer is not None:
            self._reporter.kernels(layer.name, np.asarray(layer.kernel))

    def _evaluate(self) -> tuple[float, float]:
        """Return loss and accuracy of the images that are evaluated, of which each process takes its share."""
        if self._replicas.workers == 1:
            found = self.evaluator.evaluate(self._evaluated, between=self.stop_if_asked)
            return found.loss, found.accuracy
        part, sums = self._replicas.share(len(self._evaluated)), [0.0, 0.0]
        if part.stop > part.start:
            found = self.evaluator.evaluate(self._evaluated, part=part)
            sums = [found.loss * (part.stop - part.start), float(np.trace(found.confusion))]
        loss, right = self._replicas.summed(sums) / len(self._evaluated)
        return float(loss), float(right)

    def _take_steps(self, epoch: int, batches: Batches) -> None:
        """Take the steps that remain of an epoch, as many in one call as fill :data:`CALL_SECONDS`."""
        position = self.position
        count, saved = 1, time.monotonic()
        while position.step < self._steps:
            count = self._agreed(min(count, self._steps - position.step))
            started = time.perf_counter()
            try:
                with self._replicas.scope(), self._board.profiled():
                    self._loop.run(batches, count)
                    loss = self._loop.loss  # which waits for what a GPU has still to do
            except Exception as error:
                if not memory.out_of_memory(error):
                    raise
                raise CnnlabError(self._too_large()) from error
            seconds = time.perf_counter() - started
            position.step += count
            position.seconds += seconds
            if not math.isfinite(loss):
                where = f"in epoch {epoch}, by step {position.step} of {self._steps}"
                raise CnnlabError(self._divergence(where, "the loss"))
            self._board.steps((epoch - 1) * self._steps + position.step, self._loop, self._rate)
            self._reporter.progress(self._progress(epoch, loss))
            count = max(1, min(4 * count, int(CALL_SECONDS * count / seconds)))
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save()
                saved = time.monotonic()

    def _agreed(self, count: int) -> int:
        """Return how many steps the first process wants to take; all stop where any was asked to."""
        asked, count = self._replicas.summed([self._request.asked, count if self._replicas.is_chief else 0]).astype(int)
        if asked:
            self._stop()
        return int(count)

    def _progress(self, epoch: int, loss: float) -> Progress:
        position = self.position
        seconds_a_step = position.seconds / position.step
        left = (self._epochs - epoch + 1) * self._steps - position.step
        return Progress(
            epoch=epoch,
            epochs=self._epochs,
            step=position.step,
            steps=self._steps,
            loss=loss,
            accuracy=self._loop.accuracy,
            images_per_second=min(position.step * self._batch_size, len(self._training)) / position.seconds,
            seconds_left=left * seconds_a_step,
        )

    def _divergence(self, where: str, what: str) -> str:
        return (
            f"training diverged {where}: {what} is no longer a finite number. Try a learning rate below "
            f"{self._settings.learning_rate:g}.{self._what_is_kept()}"
        )

    def _too_large(self) -> str:
        return (
            f"memory ran out while training on batches of {self._batch_size} images. Train anew with smaller ones, "
            "`batch_size=`, which gives another network: the batch size is a part of the recipe."
            f"{self._what_is_kept()}"
        )

    def _what_is_kept(self) -> str:
        if not (self._run.path / STATE).exists():
            return ""
        done = f"{self.position.epochs_done} of {self._epochs} epochs are done"
        return f" What was saved last is kept in {self._run.path}: {done}."

    def _copy_weights(self) -> None:
        """Bring the weights to the network that is evaluated, where it is another one than the trained."""
        if self.evaluator.model is not self._loop.model:
            self.evaluator.model.set_weights(self._loop.model.get_weights())

    def _save(self) -> None:
        if self._replicas.is_chief:
            self._board.flush()
            with keeping():
                checkpoint.save(self._run.path / STATE, self._loop.variables, self.position)

    def _write_history(self) -> None:
        if self._replicas.is_chief:
            write_history(self._run.history_path, self.position.history)


def _feeds(settings: Settings, dataset: Dataset, replicas: Replicas) -> tuple[Feed, Feed]:
    """Return what to train on and what to evaluate after every epoch."""
    count = min(len(dataset.train), settings.limit or len(dataset.train))
    if not settings.validation:
        tested = make_feed(dataset.test, np.arange(len(dataset.test)))
        return make_feed(dataset.train, np.arange(count), replicas), tested
    kept, held = held_out(count, settings.validation, settings.seed)
    return make_feed(dataset.train, kept, replicas), make_feed(dataset.train, held)


def _filled(value: Any) -> Any:
    """A setting that the recipe fills in where nobody gave it."""
    assert value is not None, "these settings are not filled in: call Settings.filled first"
    return value
