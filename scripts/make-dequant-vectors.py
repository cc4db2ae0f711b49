#!/usr/bin/env python3
"""Makes the test vectors of the crate gguf-dequant: blocks, and what the PyPI package `gguf` makes of them.

    pip install gguf==0.19.0 numpy
    python scripts/make-dequant-vectors.py            # writes crates/gguf-dequant/tests/vectors/
    python scripts/make-dequant-vectors.py --check    # compares with the files there; exit code 1 on a difference

Three little-endian files per format: NAME.blocks holds the input, NAME.f32 the values, NAME.f16 the values rounded
to halves by numpy; every NaN in them is the same one. A new format is a line in FORMATS.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

VECTORS = Path(__file__).resolve().parent.parent / "crates" / "gguf-dequant" / "tests" / "vectors"

# Format, and the byte offsets of the IEEE halves that scale a block.
FORMATS = {
    GGMLQuantizationType.Q4_0: [0],
    GGMLQuantizationType.Q8_0: [0],
    GGMLQuantizationType.Q4_K: [0, 2],
    GGMLQuantizationType.Q6_K: [208],
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


def single_precision(rng: np.random.Generator) -> np.ndarray:
    """Values around every edge of the half format, ties of its rounding, and random bits."""
    edges = np.array([0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF], "<u4")
    centres = [0.0, 2.0**-26, 2.0**-25, 2.0**-24, 2.0**-14, 1.0, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 65504, 65520, 65536]
    centres = np.array(centres, "<f4").view("<u4")
    near = (centres[:, None] + np.arange(-2, 3, dtype=np.int64)).clip(0).astype("<u4").ravel()
    ordinary = rng.normal(0, 1, 64).astype("<f4").view("<u4")
    anything = rng.integers(0, 1 << 32, 64, "<u4")
    return np.concatenate([edges, near, near | 0x80000000, ordinary, anything]).view(np.uint8)


def vectors() -> dict[str, bytes]:
    files = {}

    def add(kind: GGMLQuantizationType, blocks: np.ndarray) -> None:
        with np.errstate(all="ignore"):
            values = quants.dequantize(blocks, kind).astype("<f4")
            halves = values.astype("<f2")
        # A NaN's sign and payload are the processor's: one NaN for all, so that every machine makes the same files.
        values[np.isnan(values)] = np.nan
        halves[np.isnan(halves)] = np.nan
        name = kind.name.lower()
        for suffix, content in {"blocks": blocks, "f32": values, "f16": halves}.items():
            files[f"{name}.{suffix}"] = content.tobytes()

    # A seed per format: a new one leaves the files of the others as they are.
    for kind, scale_offsets in FORMATS.items():
        rng = np.random.default_rng(int(kind))
        add(kind, quantised_blocks(rng, GGML_QUANT_SIZES[kind][1], scale_offsets))
    for kind, make in {
        GGMLQuantizationType.F32: single_precision,
        GGMLQuantizationType.F16: lambda rng: rng.integers(0, 256, 2 * 257, np.uint8),
        GGMLQuantizationType.BF16: lambda rng: single_precision(rng).reshape(-1, 4)[:, 2:].copy().ravel(),
    }.items():
        add(kind, make(np.random.default_rng(int(kind))))
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
