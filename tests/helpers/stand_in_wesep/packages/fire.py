"""Stands in for fire: --name value and --name=value, values read as Python where they are, as arguments of a call."""

import ast
import sys


def value_of(text):
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def Fire(function):
    words, options = sys.argv[1:], {}
    while words:
        name, equals, text = words.pop(0).partition("=")
        options[name.removeprefix("--")] = value_of(text if equals else words.pop(0))
    function(**options)
