#!/usr/bin/env python3
"""Makes examples/models/plimsoll-sample-llama.gguf, the sample model of the demo, the examples and the tests.

    python="$(scripts/python-env.sh)"
    "$python" scripts/make-sample-model.py            # write it anew
    "$python" scripts/make-sample-model.py --check    # compare the committed file with what would be written

The model is a complete llama with a working tokenizer, so llama.cpp loads it and generates from it; its weights are
random, so what it generates means nothing. Nothing in it comes from another model. The tokenizer is learned from
tokenizer-text.txt beside the model. Every run gives the same bytes: random bits come from a generator whose stream
NumPy guarantees, and they become weights by arithmetic that is exact or correctly rounded everywhere.

The container is written by the `gguf` package, which knows nothing of this project. That package cannot quantize to
Q4_K and Q6_K, so blocks of these types are assembled here from random codes; ggml-common.h of ggml has their layouts.
"""

import argparse
import collections
import re
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "models"
MODEL_PATH = FOLDER / "plimsoll-sample-llama.gguf"
TEXT_PATH = FOLDER / "tokenizer-text.txt"

# A super-block holds 256 weights, so no row may be shorter.
EMBEDDING = 256
FEED_FORWARD = 512
LAYERS = 4
HEADS = 4
# Fewer heads for keys and values than for queries, as in most models of today.
KV_HEADS = 2
HEAD_SIZE = EMBEDDING // HEADS
CONTEXT = 512
VOCABULARY = 768

SEED = 1876
# Uniform in ±AMPLITUDE gives a standard deviation of 1/sqrt(EMBEDDING): activations neither grow nor fade.
AMPLITUDE = 3**0.5 / EMBEDDING**0.5

WORD_START = "\u2581"
UNKNOWN, BEGIN, END = range(3)


class Bits:
    """The random bits of one tensor. Each tensor has its own stream, so that a new tensor changes no other."""

    def __init__(self, name):
        self._generator = np.random.PCG64([SEED, zlib.crc32(name.encode())])

    def bytes(self, *shape):
        count = int(np.prod(shape))
        # Only the raw stream is the same in every NumPy version; the distributions are not.
        raw = self._generator.random_raw(-(-count // 8)).astype("<u8")
        return raw.view(np.uint8)[:count].reshape(shape)

    def unit(self, *shape):
        """Uniform in [-1, 1], in steps of 2/65535."""
        words = self.bytes(*shape, 2).view("<u2")[..., 0]
        return words.astype(np.float64) / 32767.5 - 1


def f32(bits, shape):
    """Factors near 1, as the weights of a trained norm are."""
    return (1 + 0.1 * bits.unit(*shape)).astype("<f4")


def f16(bits, shape):
    return (AMPLITUDE * bits.unit(*shape)).astype("<f2")


def block_scales(bits, blocks, largest_code):
    """One f16 scale per block, as bytes: the largest code comes out between 0.75 and 1 times AMPLITUDE."""
    shrink = 1 - bits.bytes(blocks, 1) / 1024
    return (AMPLITUDE / largest_code * shrink).astype("<f2")


def q8_0(bits, blocks):
    scale = block_scales(bits, blocks, 127)
    codes = np.maximum(bits.bytes(blocks, 32).view(np.int8), -127)
    return np.hstack([scale.view(np.uint8), codes.view(np.uint8)])


def q4_k(bits, blocks):
    scale = block_scales(bits, blocks, 63 * 7.5)
    # value = d*sc*q - dmin*mn, and 7.5 is the middle of the codes: with dmin = 7.5 d and mn near sc the mean is near 0.
    minimum = (scale.astype(np.float64) * 7.5).astype("<f2")
    sub_scales = 32 + bits.bytes(blocks, 8) % 32
    sub_minimums = np.clip(sub_scales.astype(np.int16) + bits.bytes(blocks, 8) % 3 - 1, 0, 63).astype(np.uint8)
    low_scales, high_scales = np.hsplit(sub_scales, 2)
    low_minimums, high_minimums = np.hsplit(sub_minimums, 2)
    packed = np.hstack([
        low_scales | (high_scales >> 4) << 6,
        low_minimums | (high_minimums >> 4) << 6,
        (high_scales & 15) | (high_minimums & 15) << 4,
    ])
    codes = bits.bytes(blocks, 128)
    return np.hstack([scale.view(np.uint8), minimum.view(np.uint8), packed, codes])


def q6_k(bits, blocks):
    scale = block_scales(bits, blocks, 127 * 32)
    codes = bits.bytes(blocks, 128 + 64)
    draw = bits.bytes(blocks, 16)
    magnitudes = (64 + draw % 64).astype(np.int8)
    sub_scales = np.where(draw < 128, magnitudes, -magnitudes)
    return np.hstack([codes, sub_scales.view(np.uint8), scale.view(np.uint8)])


PLAIN = {GGMLQuantizationType.F32: f32, GGMLQuantizationType.F16: f16}
QUANTIZED = {
    GGMLQuantizationType.Q8_0: (q8_0, 32),
    GGMLQuantizationType.Q4_K: (q4_k, 256),
    GGMLQuantizationType.Q6_K: (q6_k, 256),
}


def tensor_plan():
    """Yields (name, shape with the row length last, type) of every tensor, in the order of the file."""
    kinds = GGMLQuantizationType
    key_value = KV_HEADS * HEAD_SIZE
    yield "token_embd.weight", (VOCABULARY, EMBEDDING), kinds.F16
    for layer in range(LAYERS):
        # llama-quantize gives Q4_K_M models more bits where errors cost most: an eighth of the layers at
        # either end and every third one between.
        eighth = LAYERS // 8
        important = layer < eighth or layer >= 7 * LAYERS // 8 or (layer - eighth) % 3 == 2
        mixed = kinds.Q6_K if important else kinds.Q4_K
        yield f"blk.{layer}.attn_norm.weight", (EMBEDDING,), kinds.F32
        yield f"blk.{layer}.attn_q.weight", (EMBEDDING, EMBEDDING), kinds.Q4_K
        yield f"blk.{layer}.attn_k.weight", (key_value, EMBEDDING), kinds.Q4_K
        yield f"blk.{layer}.attn_v.weight", (key_value, EMBEDDING), mixed
        yield f"blk.{layer}.attn_output.weight", (EMBEDDING, EMBEDDING), kinds.Q4_K
        yield f"blk.{layer}.ffn_norm.weight", (EMBEDDING,), kinds.F32
        yield f"blk.{layer}.ffn_gate.weight", (FEED_FORWARD, EMBEDDING), kinds.Q4_K
        yield f"blk.{layer}.ffn_up.weight", (FEED_FORWARD, EMBEDDING), kinds.Q4_K
        yield f"blk.{layer}.ffn_down.weight", (EMBEDDING, FEED_FORWARD), mixed
    yield "output_norm.weight", (EMBEDDING,), kinds.F32
    yield "output.weight", (VOCABULARY, EMBEDDING), kinds.Q8_0


def add_tensors(writer):
    for name, shape, kind in tensor_plan():
        bits = Bits(name)
        if kind in PLAIN:
            writer.add_tensor(name, PLAIN[kind](bits, shape), raw_dtype=kind)
        else:
            make_blocks, block_length = QUANTIZED[kind]
            blocks = make_blocks(bits, int(np.prod(shape)) // block_length)
            writer.add_tensor(name, blocks.reshape(shape[0], -1), raw_dtype=kind)


def learn_pieces(text, count):
    """Byte-pair encoding: joins the most frequent pair of neighbours, again and again. The first piece matters most."""
    words = collections.Counter(re.findall(f"{WORD_START}?[A-Za-z]+", re.sub(r"\s+", WORD_START, text)))
    spellings = {word: list(word) for word in words}
    pieces = []
    while len(pieces) < count:
        pairs = collections.Counter()
        for word, spelling in spellings.items():
            for pair in zip(spelling, spelling[1:]):
                pairs[pair] += words[word]
        # Ties go to the pair that sorts first, so that the order of a dictionary decides nothing.
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if left + right not in pieces:
            pieces.append(left + right)
        for spelling in spellings.values():
            join_pair(spelling, left, right)
    return pieces


def join_pair(spelling, left, right):
    at = 0
    while at + 1 < len(spelling):
        if spelling[at] == left and spelling[at + 1] == right:
            spelling[at : at + 2] = [left + right]
        at += 1


def vocabulary():
    """The tokens in order of their ids, as (text, type): three marks, every byte, pieces, single characters."""
    marks = [("<unk>", TokenType.UNKNOWN), ("<s>", TokenType.CONTROL), ("</s>", TokenType.CONTROL)]
    # With a token for every byte, text in any script comes through unharmed, if at a token a byte.
    every_byte = [(f"<0x{byte:02X}>", TokenType.BYTE) for byte in range(256)]
    characters = [(character, TokenType.NORMAL) for character in [WORD_START, *map(chr, range(0x21, 0x7F))]]
    room = VOCABULARY - len(marks) - len(every_byte) - len(characters)
    pieces = [(piece, TokenType.NORMAL) for piece in learn_pieces(TEXT_PATH.read_text("utf-8"), room)]
    return [*marks, *every_byte, *pieces, *characters]


def add_tokenizer(writer):
    tokens = vocabulary()
    first_piece = 3 + 256
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _ in tokens])
    # The tokenizer joins the pair whose joint piece has the highest score, so the order of learning is the score.
    writer.add_token_scores([float(min(first_piece - token, 0)) for token in range(len(tokens))])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)


def add_description(writer):
    parameters = sum(int(np.prod(shape)) for _, shape, _ in tensor_plan())
    writer.add_type("model")
    writer.add_name("Plimsoll sample llama")
    writer.add_basename("plimsoll-sample-llama")
    writer.add_size_label(f"{parameters / 1e6:.1f}M")
    writer.add_description(
        "A small llama with random weights: real in form, meaningless in content. For demos and tests of loaders."
    )
    writer.add_license("MIT OR Apache-2.0")
    writer.add_file_type(LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_quantization_version(2)


def add_hyperparameters(writer):
    writer.add_vocab_size(VOCABULARY)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD_SIZE)
    writer.add_rope_freq_base(10000.0)


def model_bytes():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL_PATH.name
        writer = GGUFWriter(path, "llama")
        add_description(writer)
        add_hyperparameters(writer)
        add_tokenizer(writer)
        add_tensors(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def main():
    parser = argparse.ArgumentParser(description="Makes the sample model in examples/models.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the committed file differs")
    check = parser.parse_args().check

    expected = model_bytes()
    if not check:
        MODEL_PATH.write_bytes(expected)
        print(f"{MODEL_PATH}: {len(expected)} bytes written")
    elif not MODEL_PATH.is_file():
        sys.exit(f"{MODEL_PATH} is missing; run this script without --check to make it")
    elif MODEL_PATH.read_bytes() != expected:
        sys.exit(f"{MODEL_PATH} differs from what this script makes; run it without --check and look at the change")
    else:
        print(f"{MODEL_PATH}: {len(expected)} bytes, as this script makes them")


if __name__ == "__main__":
    main()
