"""ONNX files of a few nodes, written by hand: the package that writes them is no requirement of ours."""

from __future__ import annotations

import numpy as np

FLOAT, INT64 = 1, 7


def encoder(weight: np.ndarray, rank: int = 3, batch: str | int = "B", lengths: bool = False, axis: int = 1) -> bytes:
    """An ONNX graph: the maxima of `feats` over an axis, times a matrix.

    Args:
        weight: [F, D].
        rank: of `feats`.
        batch: its first size; a name leaves it open.
        lengths: with a second input `lengths`, which the output does not depend on.
        axis: that the maxima are over.

    Returns:
        The file's content; outputs `most` and `embs`.
    """
    shape = {3: [batch, "T", weight.shape[0]] if axis == 1 else [batch, weight.shape[0], "T"], 2: [batch, "T"]}[rank]
    nodes = [
        _node("ReduceMax", ["feats"], ["most"], _ints("axes", [axis]) + _int("keepdims", int(rank == 2))),
        _node("MatMul", ["most", "w"], ["embs"], b""),
    ]
    inputs = [_value("feats", FLOAT, shape)] + ([_value("lengths", INT64, [batch])] if lengths else [])
    tensor = b"".join(_varint_field(1, size) for size in weight.shape) + _varint_field(2, FLOAT)
    tensor += _bytes(8, b"w") + _bytes(9, weight.astype("<f4").tobytes())
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"g") + _bytes(5, tensor)
    graph += b"".join(_bytes(11, one) for one in inputs)
    graph += _bytes(12, _value("most", FLOAT, None)) + _bytes(12, _value("embs", FLOAT, None))
    opset = _bytes(1, b"") + _varint_field(2, 13)
    return _varint_field(1, 8) + _bytes(7, graph) + _bytes(8, opset)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def _varint_field(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _node(kind: str, inputs: list[str], outputs: list[str], attributes: bytes) -> bytes:
    named = b"".join(_bytes(1, name.encode()) for name in inputs) + b"".join(_bytes(2, one.encode()) for one in outputs)
    return named + _bytes(4, kind.encode()) + attributes


def _ints(name: str, values: list[int]) -> bytes:
    content = _bytes(1, name.encode()) + b"".join(_varint_field(8, value) for value in values) + _varint_field(20, 7)
    return _bytes(5, content)


def _int(name: str, value: int) -> bytes:
    return _bytes(5, _bytes(1, name.encode()) + _varint_field(3, value) + _varint_field(20, 2))


def _value(name: str, kind: int, shape: list[str | int] | None) -> bytes:
    tensor = _varint_field(1, kind)
    if shape is not None:
        sizes = (_bytes(2, one.encode()) if isinstance(one, str) else _varint_field(1, one) for one in shape)
        tensor += _bytes(2, b"".join(_bytes(1, one) for one in sizes))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))
