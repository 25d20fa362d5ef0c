"""Seeded weights in the shapes sd-server loads: a toy Flux, a toy autoencoder, a toy CLIP-L.

Run as ``python _weights.py DIRECTORY``; it writes the three ``.safetensors`` files there in about
a second. They paint noise, but the same prompt always paints the same noise.
"""

from __future__ import annotations

import json
import math
import random
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

WIDTH = 128  # of the Flux transformer, which is a single attention head
CHANNELS = 64  # of the autoencoder
LATENT = 16
CLIP = 768  # CLIP-L's own width and vocabulary: sd-server has the tokenizer compiled in
VOCABULARY = 49408
POSITIONS = 77
LAYERS = 12

_BLOCK = 1 << 20


class Tensor(NamedTuple):
    """One fp16 tensor: random of about this spread, or one value throughout, or a few points."""

    name: str
    shape: tuple[int, ...]
    spread: float = 0.0
    value: float = 0.0
    points: Mapping[int, float] = MappingProxyType({})

    @property
    def size(self) -> int:
        """How many bytes the tensor fills."""
        return 2 * math.prod(self.shape)


def flux() -> list[Tensor]:
    """Name the tensors of a Flux transformer with one double block and one single block."""

    def linear(name: str, inputs: int, outputs: int, spread: float = 0.02) -> list[Tensor]:
        return [
            Tensor(f"{name}.weight", (outputs, inputs), spread),
            Tensor(f"{name}.bias", (outputs,)),
        ]

    def norms(prefix: str) -> list[Tensor]:
        return [
            Tensor(f"{prefix}.{side}_norm.scale", (WIDTH,), value=1) for side in ("query", "key")
        ]

    tensors = [
        *linear("img_in", 64, WIDTH, 0.1),
        *linear("txt_in", 4096, WIDTH),
        *linear("time_in.in_layer", 256, WIDTH),
        *linear("time_in.out_layer", WIDTH, WIDTH),
        # Wide, because the pooled prompt comes in here and nowhere else: no T5 is loaded.
        *linear("vector_in.in_layer", CLIP, WIDTH, 0.3),
        *linear("vector_in.out_layer", WIDTH, WIDTH, 0.2),
    ]
    for stream in ("img", "txt"):
        block = f"double_blocks.0.{stream}"
        tensors += linear(f"{block}_mod.lin", WIDTH, 6 * WIDTH)
        tensors += linear(f"{block}_attn.qkv", WIDTH, 3 * WIDTH)
        tensors += linear(f"{block}_attn.proj", WIDTH, WIDTH)
        tensors += linear(f"{block}_mlp.0", WIDTH, 4 * WIDTH)
        tensors += linear(f"{block}_mlp.2", 4 * WIDTH, WIDTH)
        tensors += norms(f"{block}_attn.norm")
    return [
        *tensors,
        *linear("single_blocks.0.linear1", WIDTH, 7 * WIDTH),
        *linear("single_blocks.0.linear2", 5 * WIDTH, WIDTH),
        *linear("single_blocks.0.modulation.lin", WIDTH, 3 * WIDTH),
        *norms("single_blocks.0.norm"),
        *linear("final_layer.linear", WIDTH, 64, 0.025),
        *linear("final_layer.adaLN_modulation.1", WIDTH, 2 * WIDTH),
    ]


def autoencoder() -> list[Tensor]:
    """Name the tensors of a tiny autoencoder (TAE) that halves a picture thrice and doubles it.

    It is honest work, not noise: three channels carry red, green and blue from end to end, so
    what an edit's mask protects comes back as its own 8x8 averages. Every block in between adds
    zero to what passes it.
    """

    def carry(
        name: str, inputs: int, outputs: int, taps: tuple[int, ...] = (4,), gain: float = 1.0
    ) -> Tensor:
        """Pass the first three channels on, each the sum of some of its 3x3 neighbourhood."""
        points = {9 * (colour * inputs + colour) + tap: gain for colour in range(3) for tap in taps}
        return Tensor(f"{name}.weight", (outputs, inputs, 3, 3), points=points)

    def bias(name: str, outputs: int, level: float = 0.0) -> Tensor:
        return Tensor(f"{name}.bias", (outputs,), points=dict.fromkeys(range(3), level))

    def block(name: str) -> list[Tensor]:
        shape = (CHANNELS, CHANNELS, 3, 3)
        convolutions = [f"{name}.conv.{layer}" for layer in (0, 2, 4)]
        weights = [Tensor(f"{convolution}.weight", shape) for convolution in convolutions]
        return [*weights, *(bias(convolution, CHANNELS) for convolution in convolutions)]

    # Layers that hold no weights have a number too: the decoder's ReLU and its upsamplings.
    encoder = [carry("encoder.layers.0", 3, CHANNELS), bias("encoder.layers.0", CHANNELS)]
    encoder += block("encoder.layers.1")
    # Colours of 0..1 become latents of -1..1, which the decoder's soft clamp hardly bends.
    decoder = [carry("decoder.layers.0", LATENT, CHANNELS, gain=0.5)]
    decoder.append(bias("decoder.layers.0", CHANNELS, 0.5))
    for stage in range(3):
        down, up = 2 + 4 * stage, 2 + 5 * stage
        halving = (4, 5, 7, 8)  # with a stride of two, exactly one 2x2 square
        encoder.append(carry(f"encoder.layers.{down}", CHANNELS, CHANNELS, halving, 0.25))
        for step in range(3):
            encoder += block(f"encoder.layers.{down + 1 + step}")
            decoder += block(f"decoder.layers.{up + step}")
        decoder.append(carry(f"decoder.layers.{up + 4}", CHANNELS, CHANNELS))
    encoder.append(carry("encoder.layers.14", CHANNELS, LATENT, gain=2.0))
    encoder.append(bias("encoder.layers.14", LATENT, -1.0))
    decoder += block("decoder.layers.17")
    decoder += [carry("decoder.layers.18", CHANNELS, 3), bias("decoder.layers.18", 3)]
    return [*encoder, *decoder]


def clip() -> list[Tensor]:
    """Name the tensors of a CLIP-L that mixes the prompt's tokens once, then passes them on.

    The first layer's attention is uniform (zero queries and keys) over identity values, so the
    last token hears every other; all the rest is zero, a residual path, and stays a hole on disk.
    """

    def affine(name: str, inputs: int, outputs: int, *, identity: bool = False) -> list[Tensor]:
        diagonal = {row * (inputs + 1): 1.0 for row in range(outputs)} if identity else {}
        weight = Tensor(f"{name}.weight", (outputs, inputs), points=diagonal)
        return [weight, Tensor(f"{name}.bias", (outputs,))]

    def norm(name: str) -> list[Tensor]:
        return [Tensor(f"{name}.weight", (CLIP,), value=1), Tensor(f"{name}.bias", (CLIP,))]

    embeddings = "text_model.embeddings"
    tensors = [
        Tensor(f"{embeddings}.token_embedding.weight", (VOCABULARY, CLIP), 1.0),
        # Without these "a cat" and "cat a" would be one picture.
        Tensor(f"{embeddings}.position_embedding.weight", (POSITIONS, CLIP), 0.5),
    ]
    for number in range(LAYERS):
        layer = f"text_model.encoder.layers.{number}"
        for part in ("q", "k", "v", "out"):
            passing = number == 0 and part in ("v", "out")
            tensors += affine(f"{layer}.self_attn.{part}_proj", CLIP, CLIP, identity=passing)
        tensors += [*norm(f"{layer}.layer_norm1"), *norm(f"{layer}.layer_norm2")]
        tensors += affine(f"{layer}.mlp.fc1", CLIP, 4 * CLIP)
        tensors += affine(f"{layer}.mlp.fc2", 4 * CLIP, CLIP)
    return [*tensors, *norm("text_model.final_layer_norm")]


def _noise(size: int, spread: float, source: random.Random) -> Iterator[bytes]:
    """Yield ``size`` bytes of fp16 noise, its spread rounded to a power of two.

    Only the sign and the mantissa are random; the exponent is fixed. So each number is one of
    ±[2^e, 2^(e+1)), whose root mean square is 2^e times the root of 7/3, and a megabyte of them is
    three operations on one big integer.
    """
    exponent = round(math.log2(spread / math.sqrt(7 / 3)))
    keep = int.from_bytes(struct.pack("<H", 0x83FF) * (_BLOCK // 2), "little")
    fixed = int.from_bytes(struct.pack("<H", exponent + 15 << 10) * (_BLOCK // 2), "little")
    for start in range(0, size, _BLOCK):
        block = source.getrandbits(8 * _BLOCK) & keep | fixed
        yield block.to_bytes(_BLOCK, "little")[: size - start]


def write(path: Path, tensors: list[Tensor], *, seed: int = 0) -> None:
    """Write a safetensors file, leaving zeros as holes where the file system allows them."""
    source = random.Random(seed)
    header: dict[str, object] = {}
    end = 0
    for tensor in tensors:
        offsets = [end, end + tensor.size]
        header[tensor.name] = {"dtype": "F16", "shape": tensor.shape, "data_offsets": offsets}
        end += tensor.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(file.tell() + end)
        for tensor in tensors:
            start = file.tell()
            if tensor.spread:
                file.writelines(_noise(tensor.size, tensor.spread, source))
            elif tensor.value:
                file.write(struct.pack("<e", tensor.value) * (tensor.size // 2))
            for index, value in tensor.points.items():
                file.seek(start + 2 * index)
                file.write(struct.pack("<e", value))
            file.seek(start + tensor.size)


def main() -> None:
    """Write the three files into the directory named on the command line."""
    directory = Path(sys.argv[1])
    write(directory / "flux.safetensors", flux())
    write(directory / "tae.safetensors", autoencoder())
    write(directory / "clip_l.safetensors", clip())


if __name__ == "__main__":
    main()
