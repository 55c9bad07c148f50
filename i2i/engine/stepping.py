"""Taking a method's steps: as they are written, or recorded once as a CUDA graph and then played.

At batch 1 a step is some thousand small kernels, and a GPU is done with each before the host has launched the next. A
graph launches all of them at once. What is played is what was recorded, at the same places in memory; so everything
that changes from step to step, images, learning rates, random draws and the places in the image pools, lies on the
device. Methods whose steps keep to that say so in `Method.recordable`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from i2i import world
from i2i.errors import UserError
from i2i.inference.export.graph import first_line
from i2i.methods import Method
from i2i.methods.base import Scalars
from i2i.optim import Precision

WARM_UP = 3  # steps before the recording: kernels are chosen in them, and the optimizers' moments come into being
MOST_AHEAD = 2  # steps that a GPU may still have to do when the host begins another


class Stepping:
    """Takes the steps of a method, and records them where that is faster and safe.

    The host never gets far ahead of a GPU, so that the time it waits for images is time that the GPU waits for them.

    Args:
        method: whose `train_step` is called.
        precision: how and where is computed.
        graph: True records, False never does, None does where it is safe; see `check_graph`.
        say: takes a line for the user, should recording fail where nobody insisted on it.

    Raises:
        UserError: recording is insisted on and cannot be.
    """

    def __init__(self, method: Method, precision: Precision, graph: bool | None, say: Callable[[str], None]) -> None:
        self.method, self.precision, self.say = method, precision, say
        self.insisted = bool(graph)
        records = check_graph(graph, method, precision)
        self._stream = torch.cuda.Stream(precision.device) if records else None  # type: ignore[no-untyped-call]
        self._taken = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: dict[str, Tensor] = {}
        self._scalars: Scalars = {}
        self._under_way: deque[torch.cuda.Event] = deque()

    def __call__(self, batch: Mapping[str, Tensor], step: int) -> Scalars:
        """Take one step and return its scalars, which the next one may overwrite.

        Raises:
            UserError: the step cannot be recorded, and that is insisted on or nothing else goes afterwards.
        """
        scalars = self._take(batch, step)
        if self.precision.device.type == "cuda":
            self._under_way.append(torch.cuda.current_stream(self.precision.device).record_event())
            if len(self._under_way) > MOST_AHEAD:
                self._under_way.popleft().synchronize()
        return scalars

    def _take(self, batch: Mapping[str, Tensor], step: int) -> Scalars:
        if self._stream is None:
            return self._as_written(batch, step)
        if self._taken < WARM_UP:
            scalars = self._aside(self._stream, batch, step)
            self._taken += 1
            return scalars
        if self._graph is None:
            try:
                self._graph = self._recorded(self._stream, batch, step)
            except RuntimeError as error:
                return self._without(error, batch, step)
        for name, images in self._batch.items():
            images.copy_(batch[name], non_blocking=True)
        self._graph.replay()
        return self._scalars

    def _as_written(self, batch: Mapping[str, Tensor], step: int) -> Scalars:
        with self.precision.autocast():
            return self.method.train_step(batch, step)

    def _aside(self, stream: torch.cuda.Stream, batch: Mapping[str, Tensor], step: int) -> Scalars:
        """Take a step on the stream that will be recorded on, for gradients remember theirs."""
        current = torch.cuda.current_stream(self.precision.device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            scalars = self._as_written(batch, step)
        current.wait_stream(stream)
        return scalars

    def _recorded(self, stream: torch.cuda.Stream, batch: Mapping[str, Tensor], step: int) -> torch.cuda.CUDAGraph:
        """Record a step without taking it."""
        self._batch = {name: tensor.clone() for name, tensor in batch.items() if tensor.is_cuda}
        graph = torch.cuda.CUDAGraph()
        self._expect_recording(True)
        # The loader pins memory in a thread of its own meanwhile, which by default would end the recording.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self._scalars = self._as_written({**batch, **self._batch}, step)
        return graph

    def _without(self, error: RuntimeError, batch: Mapping[str, Tensor], step: int) -> Scalars:
        """Go on without a graph after recording failed, unless one is insisted on."""
        refused = UserError(f"the step could not be recorded ({first_line(error)}); add --set train.graph=false")
        if self.insisted:
            raise refused from error
        self._stream, self._batch, self._scalars = None, {}, {}
        self._expect_recording(False)
        try:
            scalars = self._as_written(batch, step)
        except RuntimeError:  # some versions of torch cannot draw random numbers any more
            raise refused from error
        self.say(f"graph: not recorded ({first_line(error)}); every step is launched kernel by kernel")
        return scalars

    def _expect_recording(self, expected: bool) -> None:
        for stepper in self.method.steppers.values():
            stepper.expect_recording(expected)


def check_graph(graph: bool | None, method: Method, precision: Precision) -> bool:
    """Return whether steps are to be recorded, by what the option says and by what can be.

    By default they are not where the run's networks, loss or penalties are code of the user's own, which may decide by
    what lies on the host: that would be decided once and for all.

    Raises:
        UserError: they are to be and cannot.
    """
    reason = _refusal(method, precision)
    if graph and reason:
        raise UserError(f"train.graph=true: {reason}; leave it out")
    if graph is None:
        return reason is None and not _has_code_of_others(method)
    return graph


def _has_code_of_others(method: Method) -> bool:
    """Say whether a network, the loss or a penalty is named as ``module:attribute``."""
    config = getattr(method, "config", None)
    names = [str(spec["config"]["name"]) for spec in method.specs.values()]
    names += [getattr(config, "gan_loss", ""), *(getattr(config, "penalties", None) or ())]
    return any(":" in name for name in names)


def _refusal(method: Method, precision: Precision) -> str | None:
    """Return why a method's steps cannot be recorded here, or None where they can."""
    if precision.device.type != "cuda":
        return f"CUDA graphs need a GPU of NVIDIA's, and the run is on {precision.device.type}"
    if world.size() > 1:
        return "several processes talk to each other in the midst of a step"
    if not method.recordable:
        return "the steps of this method differ from each other"
    if precision.scaler() is not None:
        return "fp16 scales its loss by what it finds on the host; choose --precision bf16"
    if any(stepper.waits for stepper in method.steppers.values()):
        return "this optimizer waits for its gradient on the host; choose optim.name=adam"
    return None
