"""What the agent can do: count a text, work out a sum, tick, delete a file of its own."""

import re
from collections import namedtuple

# `tool` and `params` are what a chat and a run show of it.
Work = namedtuple("Work", "tool params")

LIMIT = 10**18


def understand(prompt):
    """The work that a prompt asks for."""
    word, _, rest = prompt.strip().partition(" ")
    rest = rest.strip()
    if word == "calc" and rest:
        return Work("calc", {"expression": rest})
    if word == "tick" and rest.isdecimal():
        return Work("tick", {"times": min(int(rest), 10_000)})
    if word == "delete" and rest:
        return Work("delete", {"file": rest})
    return Work("count", {"text": prompt})


def count(text):
    """Lines, words and characters, as a sentence."""
    lines, words = len(text.splitlines()), len(text.split())
    return f"{lines} lines, {words} words, {len(text)} characters"


def is_own(name):
    """Whether a file's name stays in the working directory."""
    return name not in (".", "..") and "/" not in name and "\0" not in name


def calc(expression):
    """The value of a sum of whole numbers; a `ValueError` says why there is none."""
    if re.search(r"[^0-9+\-*/() ]", expression):
        raise ValueError("only whole numbers, + - * / and brackets")
    tokens = re.findall(r"\d+|[-+*/()]", expression)
    value = add_up(tokens, 0)
    if tokens:
        raise ValueError(f"`{tokens[0]}` is one too many")
    return value


def add_up(tokens, depth):
    value = multiply(tokens, depth)
    while tokens and tokens[0] in "+-":
        sign = 1 if tokens.pop(0) == "+" else -1
        value = bounded(value + sign * multiply(tokens, depth))
    return value


def multiply(tokens, depth):
    value = number(tokens, depth)
    while tokens and tokens[0] in "*/":
        if tokens.pop(0) == "*":
            value = bounded(value * number(tokens, depth))
            continue
        divisor = number(tokens, depth)
        if divisor == 0 or value % divisor:
            raise ValueError(f"{value} / {divisor} is not a whole number")
        value //= divisor
    return value


def number(tokens, depth):
    if depth > 50:
        raise ValueError("brackets or signs are too deep")
    token = tokens.pop(0) if tokens else "the end"
    if token == "(":
        value = add_up(tokens, depth + 1)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("a bracket is not closed")
        return value
    if token == "-":
        return -number(tokens, depth + 1)
    if not token.isdecimal():
        raise ValueError(f"`{token}` is no number")
    return bounded(int(token))


def bounded(value):
    if abs(value) > LIMIT:
        raise ValueError("too large")
    return value
