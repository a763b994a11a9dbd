#!/usr/bin/env python3
"""Makes a tiny BERT sentence encoder with random weights, and what it says of some texts.

`python3 make.py` writes config.json, tokenizer.json, model.safetensors and expected.json beside itself, the same
bytes each time. Only the standard library is used: the tokenizer and the encoder below were written from the
papers (J. Devlin et al., "BERT", 2018; M. Schuster and K. Nakajima, "Japanese and Korean Voice Search", 2012) and
share no code with what they check. `python3 make.py DIR TEXT...` prints what the encoder in DIR says of texts.
"""

import json
import math
import random
import struct
import sys
import unicodedata
from pathlib import Path

HIDDEN, LAYERS, HEADS, INNER, POSITIONS, MOST = 32, 2, 4, 64, 320, 256
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "the cache is owner of team deploy server mountain tall how who memory graph 東 京 ##ing ##ed ##s ##er".split()
TEXTS = [
    "",
    "The cache is slow",
    "who is the owner of the deploying servers?",
    "Ünïcödé — naïve CAFÉ, Straße",
    "東京 is tall",
    "emoji 🚀🚀 and\u0000 control\tcharacters\u200b\n",
    "x" * 101 + " memory",
    "how tall is the mountain? " * 60,
    "٣ numbers १२, ａｂｃ",
]


def vocabulary():
    signs = list("abcdefghijklmnopqrstuvwxyz0123456789.,?!-'")
    return SPECIAL + signs + ["##" + sign for sign in signs[:36]] + WORDS


# Tokens


def is_punctuation(sign):
    code = ord(sign)
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_sign or unicodedata.category(sign).startswith("P")


def is_ideograph(sign):
    code = ord(sign)
    blocks = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
              (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]
    return any(low <= code <= high for low, high in blocks)


def words(text):
    clean = ""
    for sign in text:
        if sign in "\t\n\r" or unicodedata.category(sign) == "Zs":
            clean += " "
        elif sign not in "\0\ufffd" and not unicodedata.category(sign).startswith("C"):
            clean += f" {sign} " if is_ideograph(sign) else sign
    bare = "".join(it for it in unicodedata.normalize("NFD", clean) if unicodedata.category(it) != "Mn")
    spaced = "".join(f" {it} " if is_punctuation(it) else it for it in bare.lower())
    return spaced.split()


def pieces(word, ids):
    found, start = [], 0
    while start < len(word):
        ends = range(len(word), start, -1)
        piece = next((("##" if start else "") + word[start:end] for end in ends
                      if ("##" if start else "") + word[start:end] in ids), None)
        if piece is None or len(word) > 100:
            return [ids["[UNK]"]]
        found.append(ids[piece])
        start += len(piece) - (2 if start else 0)
    return found


def tokens(text, ids):
    inner = [piece for word in words(text) for piece in pieces(word, ids)]
    return [ids["[CLS]"], *inner[: MOST - 2], ids["[SEP]"]]


# The encoder


def dense(rows, weights, name):
    matrix, bias = weights[name + ".weight"], weights[name + ".bias"]
    return [[sum(map(float.__mul__, row, line)) + add for line, add in zip(matrix, bias)] for row in rows]


def norm(row, weights, name):
    mean = sum(row) / len(row)
    deviation = math.sqrt(sum((it - mean) ** 2 for it in row) / len(row) + 1e-12)
    return [(it - mean) / deviation * scale + shift
            for it, scale, shift in zip(row, weights[name + ".weight"], weights[name + ".bias"])]


def attend(query, key, value, heads):
    width = len(query[0]) // heads
    mixed = [[] for _ in query]
    for at in range(0, len(query[0]), width):
        cut = slice(at, at + width)
        keys, values = [it[cut] for it in key], [it[cut] for it in value]
        for row, out in zip(query, mixed):
            scores = [sum(map(float.__mul__, row[cut], it)) / math.sqrt(width) for it in keys]
            shares = [math.exp(it - max(scores)) for it in scores]
            whole = sum(shares)
            out += [sum(map(float.__mul__, shares, column)) / whole for column in zip(*values)]
    return mixed


def encode(ids, weights, layers, heads):
    table = {kind: weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")}
    rows = [[a + b + c for a, b, c in zip(table["word"][it], table["position"][at], table["token_type"][0])]
            for at, it in enumerate(ids)]
    rows = [norm(row, weights, "embeddings.LayerNorm") for row in rows]
    plus = lambda these, those, name: [
        norm([a + b for a, b in zip(one, other)], weights, name) for one, other in zip(these, those)]
    for layer in range(layers):
        base = f"encoder.layer.{layer}."
        parts = [dense(rows, weights, f"{base}attention.self.{it}") for it in ("query", "key", "value")]
        mixed = dense(attend(*parts, heads), weights, base + "attention.output.dense")
        rows = plus(mixed, rows, base + "attention.output.LayerNorm")
        inner = dense(rows, weights, base + "intermediate.dense")
        inner = [[it * (1 + math.erf(it / math.sqrt(2))) / 2 for it in row] for row in inner]
        rows = plus(dense(inner, weights, base + "output.dense"), rows, base + "output.LayerNorm")
    mean = [sum(column) / len(rows) for column in zip(*rows)]
    length = math.sqrt(sum(it * it for it in mean))
    return [it / length for it in mean]


# Files


def shapes(count):
    layer = {"attention.self.query": (HIDDEN, HIDDEN), "attention.self.key": (HIDDEN, HIDDEN),
             "attention.self.value": (HIDDEN, HIDDEN), "attention.output.dense": (HIDDEN, HIDDEN),
             "intermediate.dense": (INNER, HIDDEN), "output.dense": (HIDDEN, INNER)}
    yield "embeddings.word_embeddings.weight", (count, HIDDEN)
    yield "embeddings.position_embeddings.weight", (POSITIONS, HIDDEN)
    yield "embeddings.token_type_embeddings.weight", (2, HIDDEN)
    norms = ["embeddings.LayerNorm"]
    for at in range(LAYERS):
        base = f"encoder.layer.{at}."
        for name, shape in layer.items():
            yield f"{base}{name}.weight", shape
            yield f"{base}{name}.bias", shape[:1]
        norms += [base + "attention.output.LayerNorm", base + "output.LayerNorm"]
    for name in norms:
        yield name + ".weight", (HIDDEN,)
        yield name + ".bias", (HIDDEN,)


def safetensors(count):
    chance, header, data = random.Random(5), {}, b""
    for name, shape in shapes(count):
        middle = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        numbers = [chance.gauss(middle, 0.3) for _ in range(math.prod(shape))]
        packed = struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def read(path):
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    weights = {}
    for name, it in json.loads(whole[8 : 8 + length]).items():
        if name == "__metadata__" or it["dtype"] != "F32":
            continue
        start, end = (8 + length + at for at in it["data_offsets"])
        numbers = struct.unpack(f"<{(end - start) // 4}f", whole[start:end])
        wide = it["shape"][-1]
        rows = [list(numbers[at : at + wide]) for at in range(0, len(numbers), wide)]
        weights[name] = rows if len(it["shape"]) == 2 else rows[0]
    return weights


def tokenizer(vocab):
    special = [{"id": at, "content": it, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for at, it in enumerate(SPECIAL)]
    ends = {it: {"id": it, "ids": [SPECIAL.index(it)], "tokens": [it]} for it in ("[CLS]", "[SEP]")}
    mark = lambda it: {"SpecialToken": {"id": it, "type_id": 0}}
    single = [mark("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, mark("[SEP]")]
    # As in published files, shorter texts and padding than an encoder wants stand in it.
    return {
        "version": "1.0",
        "truncation": {"max_length": 16, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single,
                           "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": ends},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {it: at for at, it in enumerate(vocab)}},
    }


def say(directory, texts):
    config = json.loads((directory / "config.json").read_text())
    ids = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    weights = read(directory / "model.safetensors")
    for text in texts:
        its = tokens(text, ids)
        vector = encode(its, weights, config["num_hidden_layers"], config["num_attention_heads"])
        yield {"text": text, "tokens": len(its), "vector": [round(it, 7) for it in vector]}


def make(directory):
    vocab = vocabulary()
    config = {
        "model_type": "bert", "vocab_size": len(vocab), "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": INNER, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
        "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0,
    }
    write = lambda name, value: (directory / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
    write("config.json", config)
    write("tokenizer.json", tokenizer(vocab))
    (directory / "model.safetensors").write_bytes(safetensors(len(vocab)))
    (directory / "expected.json").write_text(
        "[\n" + ",\n".join(json.dumps(it, ensure_ascii=False) for it in say(directory, TEXTS)) + "\n]\n")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print("\n".join(map(json.dumps, say(Path(sys.argv[1]), sys.argv[2:]))))
    else:
        make(Path(__file__).parent)
