"""Reads a torch.export archive (.pt2) without unpickling anything.

`torch.export.load` unpickles the archive's sample inputs and whatever weights ask for it, and looks operators up
anywhere in torch, so a foreign file could run code. This takes the graph (JSON) and the raw weights alone. What comes
out is an architecture in plain JSON and a state dict, saved like any other network's.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from components.core.errors import DataError
from components.models.foreign.exported import find_operator

_MODEL, _WEIGHTS, _CONSTANTS = "models/model.json", "data/weights/", "data/constants/"
_POSITIONAL = 1
_CHECKS = ("aten._assert", "aten.sym_constrain_range")  # of shapes; they compute nothing
# The archive's numbers of types and formats, in the order of its published schema.
_DTYPES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64"}
_DTYPES |= {12: "bool", 13: "bfloat16"}
_FORMATS = {1: "contiguous_format", 2: "channels_last", 4: "preserve_format"}
_PLAIN = ("as_int", "as_ints", "as_bool", "as_bools", "as_string")


def read_exported(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The architecture (family 'exported') and the tensors of a .pt2 archive; DataError says what it may not hold."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name.partition("/")[2]: name for name in archive.namelist()}
            if _MODEL not in files:
                raise DataError(
                    f"{path} holds no {_MODEL}: it was written by an old torch or holds compiled code; "
                    "export it with torch.export.save of torch 2.8 or later, or as ONNX"
                )
            module = json.loads(archive.read(files[_MODEL]))["graph_module"]
            tensors = {
                **_tensors(archive, files, "data/weights/model_weights_config.json", _WEIGHTS),
                **_tensors(archive, files, "data/constants/model_constants_config.json", _CONSTANTS),
            }
        return _graph(module, tensors)
    except (zipfile.BadZipFile, json.JSONDecodeError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise DataError(f"{path} is not a readable torch.export archive ({error!r}); export it again") from error


def _tensors(archive: zipfile.ZipFile, files: Mapping[str, str], config: str, folder: str) -> dict[str, Tensor]:
    found = {}
    for name, entry in json.loads(archive.read(files[config]))["config"].items():
        if entry["use_pickle"] or entry["tensor_meta"] is None:
            raise DataError(f"tensor '{name}' of the archive is pickled, and no pickle is loaded; export as ONNX")
        meta = entry["tensor_meta"]
        raw = bytearray(archive.read(files[folder + entry["path_name"]]))
        dtype = getattr(torch, _dtype(meta["dtype"]))
        sizes, strides = ([size["as_int"] for size in meta[key]] for key in ("sizes", "strides"))
        flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
        found[name] = flat.as_strided(sizes, strides, meta["storage_offset"]["as_int"]).contiguous()
    return found


def _graph(module: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    graph, signature = module["graph"], module["signature"]
    state, images = {}, []
    for spec in signature["input_specs"]:
        ((kind, entry),) = spec.items()
        if kind == "user_input":
            images.append(entry["arg"]["as_tensor"]["name"])
        elif kind in ("parameter", "buffer", "tensor_constant"):
            state[entry["arg"]["name"]] = tensors[entry[f"{kind}_name"]]
        else:
            raise DataError(f"the exported program has an input of kind '{kind}', allowed is one tensor of images")
    outputs = [entry for spec in signature["output_specs"] for kind, entry in spec.items() if kind == "user_output"]
    if len(images) != 1 or len(outputs) != 1 or len(signature["output_specs"]) != 1:
        raise DataError(
            f"the exported program has {len(images)} inputs and {len(outputs)} outputs and changes "
            f"{len(signature['output_specs']) - len(outputs)} of its buffers, expected images in, logits out and no "
            "change; call .eval() on the module and export it again"
        )
    first = graph["tensor_values"][images[0]]["sizes"][0]
    constant = {images[0], *state}
    architecture = {
        "family": "exported",
        "input": images[0],
        "output": outputs[0]["arg"]["as_tensor"]["name"],
        "batch": first.get("as_int"),
        "nodes": [_node(node, constant) for node in graph["nodes"] if not _is_check(node)],
        "tensors": {name: [str(t.dtype).removeprefix("torch."), list(t.shape)] for name, t in state.items()},
    }
    return architecture, state


def _is_check(node: Mapping[str, Any]) -> bool:
    return str(node["target"]).removeprefix("torch.ops.").startswith(_CHECKS)


def _node(node: Mapping[str, Any], constant: set[str]) -> dict[str, Any]:
    name = str(node["target"]).removeprefix("torch.ops.")
    function = find_operator(name)
    arguments = [(item["name"], item.get("kind", _POSITIONAL), _argument(item["arg"])) for item in node["inputs"]]
    for label, _, value in arguments:
        if label in ("training", "train") and value is True:
            raise DataError(f"the program was exported in training mode ({name}); call .eval() and export it again")
    if isinstance(function, torch._ops.OpOverload) and function._schema.is_mutable:
        target = arguments[0][2]
        if isinstance(target, dict) and target.get("value") in constant:
            raise DataError(f"the program changes its own weights or input ({name}); call .eval() and export it again")
    return {
        "op": name,
        "args": [value for _, kind, value in arguments if kind == _POSITIONAL],
        "kwargs": {label: value for label, kind, value in arguments if kind != _POSITIONAL},
        "out": _outputs(node["outputs"]),
    }


def _outputs(outputs: list[Mapping[str, Any]]) -> str | list[str]:
    """One name for a plain result, a list of names for a tuple or a list of tensors."""
    names = []
    for output in outputs:
        ((kind, value),) = output.items()
        if kind == "as_tensors":
            return [item["name"] for item in value]
        names.append(value["name"] if kind == "as_tensor" else value["as_name"])
    return names[0] if len(names) == 1 else names


def _argument(argument: Mapping[str, Any]) -> Any:
    """An argument as plain JSON: values as they are, references and torch's own constants as small objects."""
    ((kind, value),) = argument.items()
    if kind in _PLAIN:
        return value
    if kind not in _CONVERSIONS:
        raise DataError(f"the exported program has an argument of kind '{kind}', which is not read; export it as ONNX")
    return _CONVERSIONS[kind](value)


def _tensor(value: Mapping[str, Any]) -> dict[str, str]:
    return {"value": value["name"]}


def _float(value: float | str) -> float | dict[str, str]:
    """A number; infinities and NaN stand as words in the archive and, since JSON has none, in an architecture too."""
    return {"float": value} if isinstance(value, str) else value


def _symbol(value: Mapping[str, Any]) -> Any:
    """A size: the name of a computed one, or a number."""
    ((kind, held),) = value.items()
    return {"value": held} if kind == "as_name" else held


def _each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: [function(value) for value in values]


def _dtype(number: int) -> str:
    if number not in _DTYPES:
        raise DataError(f"the archive holds tensors of type number {number}, known: {_DTYPES}")
    return _DTYPES[number]


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "as_none": lambda _: None,
    "as_float": _float,
    "as_floats": _each(_float),
    "as_tensor": _tensor,
    "as_tensors": _each(_tensor),
    "as_optional_tensor": _argument,
    "as_optional_tensors": _each(_argument),
    "as_sym_int": _symbol,
    "as_sym_ints": _each(_symbol),
    "as_sym_bool": _symbol,
    "as_sym_float": _symbol,
    "as_scalar_type": lambda number: {"torch": _dtype(number)},
    "as_memory_format": lambda number: {"torch": _FORMATS[number]},
    "as_layout": lambda _: {"torch": "strided"},
    "as_device": lambda _: "cpu",
}
