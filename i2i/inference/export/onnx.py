"""Networks as ONNX files, and such files at work in place of networks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from i2i.errors import UserError
from i2i.inference.export.graph import Input, first_line, inputs_of, quiet, trace

OPSET, IR = 18, 8
"""Versions of the operators, the oldest that torch writes, and of the format, the oldest that has these."""
METADATA = "i2i"


def write_generator(network: nn.Module, channels: int, path: Path) -> None:
    """Write a generator of images as ONNX: ``input`` float32 [N, C, H, W] to ``output``, for any N, H and W.

    Args:
        network: on the CPU, in the mode that it is to run in (`i2i.nn.apply_policy`).
        channels: C that it takes.
        path: the file.

    Raises:
        UserError: the extra is not installed, or the network has no graph for all sizes.
    """
    inputs = inputs_of("generator", {"in_channels": channels})
    write(trace(network, inputs), path, inputs)


def write(program: ExportedProgram, path: Path, inputs: Mapping[str, Input], metadata: str | None = None) -> None:
    """Write a graph as one ONNX file, weights included, whose only output is ``output``.

    Args:
        program: the graph.
        path: the file.
        inputs: what it takes.
        metadata: what the file is to say of itself.

    Raises:
        UserError: the extra is not installed, or the graph has operations that ONNX does not know.
    """
    require_extra()
    try:
        with quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                verbose=False,
                input_names=list(inputs),
                output_names=["output"],
            )
    except Exception as error:  # the exporter wraps what it met in errors of its own
        raise UserError(
            f"the network cannot be written as ONNX: {first_line(error.__cause__ or error)}; try --format pt2"
        ) from error
    assert made is not None
    proto = made.model_proto
    proto.ir_version = IR
    _name_sizes(proto.graph, inputs)
    for part in (proto.graph, *proto.graph.input, *proto.graph.output, *proto.graph.node):
        del part.metadata_props[:]  # of a later format: where in which program it comes from
    if metadata is not None:
        proto.metadata_props.add(key=METADATA, value=metadata)
    path.write_bytes(proto.SerializeToString())


class OnnxNetwork(nn.Module):
    """An ONNX file run by onnxruntime on the CPU, in place of the network that was written to it.

    It has no parameters, and nothing in it can be trained or switched. Several threads may call it at once.

    Args:
        path: the file.
        threads: of one run; None: as many as torch takes.

    Attributes:
        metadata: what the file says of itself; None: nothing that i2i wrote.

    Raises:
        UserError: the extra is not installed, or the file is missing, damaged, or not all of the network.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        super().__init__()
        require_extra()
        import onnxruntime

        content = _read(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise UserError(f"{path}: is damaged or no ONNX file that onnxruntime runs: {first_line(error)}") from error
        self._path = path
        self._inputs = [value.name for value in self._session.get_inputs()]
        self.metadata: str | None = self._session.get_modelmeta().custom_metadata_map.get(METADATA)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the output for `inputs`, such as [N, C, H, W], on their device.

        Raises:
            MemoryError: memory does not suffice.
            UserError: the file's network refuses these inputs.
        """
        arrays = {name: value.detach().cpu().numpy() for name, value in zip(self._inputs, inputs, strict=True)}
        try:
            (output,) = self._session.run(None, arrays)
        except Exception as error:
            if "allocate" in str(error):
                raise MemoryError(str(error)) from error
            raise UserError(f"{self._path}: {first_line(error)}") from error
        return torch.from_numpy(output).to(inputs[0].device)


def require_extra() -> None:
    """Refuse to go on without the libraries that write, read and run ONNX.

    Raises:
        UserError: one is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"ONNX files need {error.name}; type: pip install 'i2i[export]'") from error


def read_metadata(path: Path) -> str | None:
    """Return what an ONNX file says of itself; None: nothing that i2i wrote.

    Raises:
        UserError: the extra is not installed, or the file is missing, damaged, or not all of the network.
    """
    require_extra()
    props = _parsed(path, _read(path)).metadata_props
    return next((prop.value for prop in props if prop.key == METADATA), None)


def _read(path: Path) -> bytes:
    """Return a file's content, in which everything is that belongs to it."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: does not exist") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    # Weights beside the file would be read from wherever it says, and be reported in outputs.
    if any(tensor.external_data for tensor in _tensors(_parsed(path, content))):
        raise UserError(
            f"{path}: keeps weights in other files, which are not read; i2i export writes them into the file"
        )
    return content


def _parsed(path: Path, content: bytes) -> Any:
    import onnx

    try:
        return onnx.load_model_from_string(content)
    except Exception as error:
        raise UserError(f"{path}: is damaged or no ONNX file") from error


def _tensors(message: Any) -> Iterator[Any]:
    """Yield all tensors of a message, wherever in its graphs and functions they are."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from _tensors(part)


def _name_sizes(graph: Any, inputs: Mapping[str, Input]) -> None:
    """Call the sizes of inputs and output by names instead of the tracer's symbols."""
    names: dict[str, str] = {}
    for value in graph.input:
        dimensions = value.type.tensor_type.shape.dim
        names |= {dimensions[axis].dim_param: name for axis, name in inputs[value.name].axes.items()}
    for value in [*graph.input, *graph.output]:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), dimension.dim_param)
    del graph.value_info[:]  # which has the symbols, too
