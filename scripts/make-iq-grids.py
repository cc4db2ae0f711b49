#!/usr/bin/env python3
"""Writes crates/gguf-dequant/src/blocks/grids.rs: the codebooks of the IQ types, as the PyPI package `gguf` has them.

    python="$(scripts/python-env.sh)" && "$python" scripts/make-iq-grids.py [--check]

They are trained tables, which nothing derives: they are taken over as they are, with their notice (MIT).
"""

import argparse
import sys
from pathlib import Path

from gguf import quants

TARGET = Path(__file__).resolve().parent.parent / "crates" / "gguf-dequant" / "src" / "blocks" / "grids.rs"

HEAD = """//! The codebooks of the IQ types: what each index of a block stands for.
//!
//! Made by `scripts/make-iq-grids.py` of the package `gguf` of `PyPI`, 0.19.0; change that. They are trained tables, and taken
//! over under the MIT licence:
//!
//! Copyright (c) 2023 Georgi Gerganov
//!
//! Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
//! files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
//! modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
//! Software is furnished to do so, subject to the following conditions:
//!
//! The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
//! Software.
//!
//! THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
//! WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
//! COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
//! ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

use super::grid::unpacked;
"""

# Name, class, the factor of its values after what is added, and what it holds.
GRIDS = [
    ("IQ1", quants.IQ1_S, (8, 1), "`IQ1_S` and `IQ1_M`: -1, 0 or 1 in eighths above -1, as an eighth is added or taken off"),
    ("IQ2_XXS", quants.IQ2_XXS, (1, 0), "`IQ2_XXS`"),
    ("IQ2_XS", quants.IQ2_XS, (1, 0), "`IQ2_XS`"),
    ("IQ2_S", quants.IQ2_S, (1, 0), "`IQ2_S`"),
    ("IQ3_XXS", quants.IQ3_XXS, (1, 0), "`IQ3_XXS`"),
    ("IQ3_S", quants.IQ3_S, (1, 0), "`IQ3_S`"),
]
WIDTH = 110


def text() -> str:
    parts = [HEAD]
    for name, kind, (factor, added), about in GRIDS:
        entries, elements = kind.grid_shape
        values = ", ".join(str((value + added) * factor) for value in kind.grid_map)
        digits = kind.grid_hex.decode()
        lines = [digits[at : at + WIDTH] for at in range(0, len(digits), WIDTH)]
        body = "\\\n     ".join(lines)
        parts.append(
            f"\n/// {about}.\n"
            f"#[rustfmt::skip]\n"
            f"pub(super) static {name}: [[i8; {elements}]; {entries}] = unpacked(\n"
            f"    [{values}],\n"
            f'    b"{body}",\n'
            f");\n"
        )
    return "".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed file, write nothing")
    if not parser.parse_args().check:
        TARGET.write_text(text())
        return 0
    if TARGET.read_text() == text():
        return 0
    print(f"{TARGET.name}: the committed file is not what this script makes", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
