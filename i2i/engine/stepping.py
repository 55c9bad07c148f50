"""Taking a method's steps: as they are written, or recorded once as a CUDA graph and then played.

At batch 1 a step is some thousand small kernels, and a GPU is done with each before the host has launched the next. A
graph launches all of them at once. What is played is what was recorded, at the same places in memory; so everything
that changes from step to step, images, learning rates, random draws and the places in the image pools, lies on the
device. Methods whose steps keep to that say so in `Method.recordable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from i2i import world
from i2i.errors import UserError
from i2i.methods import Method
from i2i.methods.base import Scalars
from i2i.optim import Precision

WARM_UP = 3  # steps before the recording: kernels are chosen in them, and the optimizers' moments come into being


class Stepping:
    """Takes the steps of a method, and records them where that is faster and safe.

    Args:
        method: whose `train_step` is called.
        precision: how and where is computed.
        graph: True records, False never does, None does where `refusal` has no reason against it.
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

    def __call__(self, batch: Mapping[str, Tensor], step: int) -> Scalars:
        """Take one step and return its scalars, which the next one may overwrite."""
        if self._stream is None:
            return self._as_written(batch, step)
        if self._taken < WARM_UP:
            scalars = self._aside(self._stream, batch, step)
            self._taken += 1
            return scalars
        if self._graph is None and not self._recorded(self._stream, batch, step):
            return self._as_written(batch, step)
        assert self._graph is not None
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

    def _recorded(self, stream: torch.cuda.Stream, batch: Mapping[str, Tensor], step: int) -> bool:
        """Record a step without taking it, and say whether that went well."""
        self._batch = {name: tensor.clone() for name, tensor in batch.items() if tensor.is_cuda}
        graph = torch.cuda.CUDAGraph()
        try:
            # The loader pins memory in a thread of its own meanwhile, which by default would end the recording.
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._scalars = self._as_written({**batch, **self._batch}, step)
        except RuntimeError as error:
            if self.insisted:
                raise
            self._stream, self._batch, self._scalars = None, {}, {}
            self.say(f"graph: not recorded ({str(error).splitlines()[0]}); every step is launched kernel by kernel")
            return False
        self._graph = graph
        return True


def check_graph(graph: bool | None, method: Method, precision: Precision) -> bool:
    """Return whether steps are to be recorded, by what the option says and by what can be.

    Raises:
        UserError: they are to be and cannot.
    """
    reason = _refusal(method, precision)
    if graph and reason:
        raise UserError(f"train.graph=true: {reason}; leave it out")
    return graph is not False and reason is None


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
