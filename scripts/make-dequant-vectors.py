#!/usr/bin/env python3
"""Makes the test vectors of the crate gguf-dequant: blocks, and what the PyPI package `gguf` makes of them.

    pip install gguf==0.19.0 numpy
    python scripts/make-dequant-vectors.py            # writes crates/gguf-dequant/tests/vectors/
    python scripts/make-dequant-vectors.py --check    # compares with the files there; exit code 1 on a difference

Three little-endian files per format: NAME.blocks holds the input, NAME.f32 the values, NAME.f16 the values rounded
to halves by numpy; every NaN in them is the same one. A new format is a line in FORMATS.

The package cannot dequantise Q8_1, Q8_K, F64, Q1_0 and Q2_0: their values are made here, of the layouts in ggml-common.h.
`npm run bench:dequant` compares every type that ggml's own library has with that, Q8_K, Q1_0 and Q2_0 among them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

VECTORS = Path(__file__).resolve().parent.parent / "crates" / "gguf-dequant" / "tests" / "vectors"

Kind = GGMLQuantizationType

# Format, and the byte offsets of the IEEE halves that scale a block.
FORMATS = {
    Kind.Q4_0: [0],
    Kind.Q4_1: [0, 2],
    Kind.Q5_0: [0],
    Kind.Q5_1: [0, 2],
    Kind.Q8_0: [0],
    Kind.Q2_K: [80, 82],
    Kind.Q3_K: [108],
    Kind.Q4_K: [0, 2],
    Kind.Q5_K: [0, 2],
    Kind.Q6_K: [208],
    Kind.IQ2_XXS: [0],
    Kind.IQ2_XS: [0],
    Kind.IQ3_XXS: [0],
    Kind.IQ1_S: [0],
    Kind.IQ4_NL: [0],
    Kind.IQ3_S: [0],
    Kind.IQ2_S: [0],
    Kind.IQ4_XS: [0],
    Kind.TQ1_0: [52],
    Kind.TQ2_0: [64],
}

# How many entries a codebook has, and how many of them a block takes.
CODEBOOKS = {
    Kind.IQ2_XXS: (256, 32),
    Kind.IQ2_XS: (512, 32),
    Kind.IQ2_S: (1024, 32),
    Kind.IQ3_XXS: (256, 64),
    Kind.IQ3_S: (512, 64),
    Kind.IQ1_S: (2048, 32),
}

# Zeros, the least and the greatest subnormal, the least normal, -1, the greatest of both signs, infinities, NaN.
EDGE_SCALES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00]
RANDOM_BLOCKS = 8


def ordinary_scales(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(0, 0.02, count).astype(np.float16).view(np.uint16)


def quantised_blocks(rng: np.random.Generator, block_bytes: int, scale_offsets: list[int]) -> np.ndarray:
    """Random codes under ordinary scales, under each edge scale in each place, and under random bits."""
    rows = [ordinary_scales(rng, len(scale_offsets)) for _ in range(RANDOM_BLOCKS)]
    for place in range(len(scale_offsets)):
        for edge in EDGE_SCALES:
            row = ordinary_scales(rng, len(scale_offsets))
            row[place] = edge
            rows.append(row)
    rows += [np.full(len(scale_offsets), edge, np.uint16) for edge in EDGE_SCALES if len(scale_offsets) > 1]
    rows += list(rng.integers(0, 1 << 16, (RANDOM_BLOCKS, len(scale_offsets)), np.uint16))

    blocks = rng.integers(0, 256, (len(rows), block_bytes), np.uint8)
    for block, row in zip(blocks, rows):
        for offset, scale in zip(scale_offsets, row):
            block[offset : offset + 2] = np.frombuffer(scale.astype("<u2").tobytes(), np.uint8)
    return blocks


def every_entry(kind: Kind, rng: np.random.Generator) -> np.ndarray:
    """Blocks under an ordinary scale whose indices are those of the codebook, each once."""
    entries, bytes_each = CODEBOOKS[kind]
    index = np.arange(entries).reshape(-1, bytes_each)
    lower, upper = (index & 255).astype(np.uint8), index >> 8
    blocks = rng.integers(0, 256, (len(index), GGML_QUANT_SIZES[kind][1]), np.uint8)
    blocks[:, :2] = ordinary_scales(rng, len(index)).astype("<u2").reshape(-1, 1).view(np.uint8)
    if kind == Kind.IQ2_XXS:
        for group in range(8):
            blocks[:, 2 + 8 * group : 6 + 8 * group] = lower[:, 4 * group : 4 * group + 4]
    elif kind == Kind.IQ2_XS:
        words = index | rng.integers(0, 128, index.shape) << 9
        blocks[:, 2:66] = words.astype("<u2").view(np.uint8)
    else:
        blocks[:, 2 : 2 + bytes_each] = lower
    if kind == Kind.IQ2_S:
        blocks[:, 66:74] = (upper.reshape(-1, 8, 4) << [0, 2, 4, 6]).sum(axis=-1)
    if kind == Kind.IQ3_S:
        blocks[:, 66:74] = (upper.reshape(-1, 8, 8) << np.arange(8)).sum(axis=-1)
    if kind == Kind.IQ1_S:
        words = blocks[:, 34:50].copy().view("<u2") & 0xF000
        words |= (upper.reshape(-1, 8, 4) << [0, 3, 6, 9]).sum(axis=-1).astype("<u2")
        blocks[:, 34:50] = words.view(np.uint8)
    return blocks


def split_scales(rng: np.random.Generator) -> np.ndarray:
    """IQ1_M, whose scale lies in the upper four bits of four words."""
    blocks = quantised_blocks(rng, 56 + 2, [56])
    scales = blocks[:, 56:].copy().view("<u2")
    words = blocks[:, 48:56].copy().view("<u2") & 0x0FFF
    words |= (scales >> np.array([0, 4, 8, 12], "<u2") & 15) << 12
    return np.concatenate([blocks[:, :48], words.view(np.uint8)], axis=1)


def byte_scales(rng: np.random.Generator, scales: int, block_bytes: int) -> np.ndarray:
    """Formats whose scales are bytes in front: every byte there is."""
    front = np.arange(256, dtype=np.uint8).reshape(-1, scales)
    return np.concatenate([front, rng.integers(0, 256, (len(front), block_bytes - scales), np.uint8)], axis=1)


def single_precision(rng: np.random.Generator) -> np.ndarray:
    """Values around every edge of the half format, ties of its rounding, and random bits."""
    edges = np.array([0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF], "<u4")
    centres = [0.0, 2.0**-26, 2.0**-25, 2.0**-24, 2.0**-14, 1.0, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 65504, 65520, 65536]
    centres = np.array(centres, "<f4").view("<u4")
    near = (centres[:, None] + np.arange(-2, 3, dtype=np.int64)).clip(0).astype("<u4").ravel()
    ordinary = rng.normal(0, 1, 64).astype("<f4").view("<u4")
    anything = rng.integers(0, 1 << 32, 64, "<u4")
    return np.concatenate([edges, near, near | 0x80000000, ordinary, anything]).view(np.uint8)


def scales_of(blocks: np.ndarray, kind: str = "<f2") -> np.ndarray:
    return blocks[:, : np.dtype(kind).itemsize].copy().view(kind).astype("<f4")


def fields_of(blocks: np.ndarray, bits: int) -> np.ndarray:
    """The codes behind a half, so many bits each, the lowest first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return ((blocks[:, 2:, None] >> shifts) & ((1 << bits) - 1)).reshape(len(blocks), -1).astype(np.int8)


def eight_bit_k(rng: np.random.Generator) -> np.ndarray:
    """Q8_K, whose scale is a single."""
    scales = single_precision(rng).reshape(-1, 4)[:: 6]
    return np.concatenate([scales, rng.integers(0, 256, (len(scales), 288), np.uint8)], axis=1)


def double_precision(rng: np.random.Generator) -> np.ndarray:
    """Every single of the other test, and the doubles beside and between them."""
    singles = single_precision(rng).view("<f4").astype("<f8")
    with np.errstate(all="ignore"):
        between = (singles + np.nextafter(singles.astype("<f4"), np.float32(np.inf)).astype("<f8")) / 2
    return np.concatenate([singles, between, np.nextafter(between, 0), rng.normal(0, 1e300, 16)]).view(np.uint8)


# What the package cannot dequantise, by the layout in ggml's ggml-common.h: its type id, blocks, and their values.
UNKNOWN_TO_GGUF = {
    "q8_1": (
        9,
        lambda rng: quantised_blocks(rng, 36, [0]),
        lambda blocks: scales_of(blocks) * blocks[:, 4:].view(np.int8).astype("<f4"),
    ),
    "q8_k": (
        15,
        eight_bit_k,
        lambda blocks: scales_of(blocks, "<f4") * blocks[:, 4:260].copy().view(np.int8).astype("<f4"),
    ),
    "f64": (28, double_precision, lambda blocks: blocks.view("<f8").astype("<f4")),
    "q1_0": (
        41,
        lambda rng: quantised_blocks(rng, 18, [0]),
        lambda blocks: scales_of(blocks) * (2 * fields_of(blocks, 1) - 1).astype("<f4"),
    ),
    "q2_0": (
        42,
        lambda rng: quantised_blocks(rng, 18, [0]),
        lambda blocks: scales_of(blocks) * (fields_of(blocks, 2) - 1).astype("<f4"),
    ),
}


def vectors() -> dict[str, bytes]:
    files = {}

    def add(name: str, blocks: np.ndarray, values: np.ndarray) -> None:
        values = values.astype("<f4")
        with np.errstate(all="ignore"):
            halves = values.astype("<f2")
        # A NaN's sign and payload are the processor's: one NaN for all, so that every machine makes the same files.
        values[np.isnan(values)] = np.nan
        halves[np.isnan(halves)] = np.nan
        for suffix, content in {"blocks": blocks, "f32": values, "f16": halves}.items():
            files[f"{name}.{suffix}"] = content.tobytes()

    def add_kind(kind: Kind, blocks: np.ndarray) -> None:
        with np.errstate(all="ignore"):
            add(kind.name.lower(), blocks, quants.dequantize(blocks, kind))

    # A seed per format: a new one leaves the files of the others as they are.
    for kind, scale_offsets in FORMATS.items():
        rng = np.random.default_rng(int(kind))
        blocks = quantised_blocks(rng, GGML_QUANT_SIZES[kind][1], scale_offsets)
        if kind in CODEBOOKS:
            blocks = np.concatenate([blocks, every_entry(kind, rng)])
        add_kind(kind, blocks)
    for kind, make in {
        Kind.F32: single_precision,
        Kind.F16: lambda rng: rng.integers(0, 256, 2 * 257, np.uint8),
        Kind.BF16: lambda rng: single_precision(rng).reshape(-1, 4)[:, 2:].copy().ravel(),
        Kind.IQ1_M: split_scales,
        Kind.MXFP4: lambda rng: byte_scales(rng, 1, 17),
        Kind.NVFP4: lambda rng: byte_scales(rng, 4, 36),
    }.items():
        add_kind(kind, make(np.random.default_rng(int(kind))))
    for name, (type_id, make, values_of) in UNKNOWN_TO_GGUF.items():
        blocks = make(np.random.default_rng(type_id))
        with np.errstate(all="ignore"):
            add(name, blocks, values_of(blocks))
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    check = parser.parse_args().check

    files = vectors()
    if not check:
        VECTORS.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (VECTORS / name).write_bytes(content)
        return 0

    committed = {path.name: path.read_bytes() for path in VECTORS.iterdir()} if VECTORS.is_dir() else {}
    differing = sorted(name for name in files.keys() | committed.keys() if files.get(name) != committed.get(name))
    for name in differing:
        print(f"{name}: the committed file is not what this script makes", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
