"""Splicing is judged by protobuf itself: what it parses must differ in the spliced fields only."""

import re
from collections.abc import Mapping

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.wire import FieldPath, read_varint, splice, varint

_GRAPH, _NAME, _INITIALIZER, _RAW = 7, 2, 5, 9

texts = st.text(max_size=200).map(str.encode)
payloads = st.binary(max_size=300)


def raw(index: int) -> FieldPath:
    return ((_GRAPH, 0), (_INITIALIZER, index), (_RAW, 0))


def replaced(data: bytes, payloads: Mapping[FieldPath, bytes]) -> bytes:
    return bytes(splice(FileBytes(data), payloads))


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    proto = onnx.ModelProto(ir_version=draw(st.integers(0, 2**62)), producer_name="p", doc_string="d")
    proto.graph.name = draw(st.text(max_size=5))
    for values in draw(st.lists(payloads, min_size=1, max_size=4)):
        proto.graph.initializer.add(dims=[-1, 2**40], raw_data=values, name="t", float_data=[1.5])
        proto.graph.node.add(op_type="N", attribute=[onnx.AttributeProto(name="a", f=2.5, i=-3)])
    proto.metadata_props.add(key="k", value="v")
    return proto


@given(st.integers(0, 2**64 - 1), payloads)
def test_varint_there_and_back(number: int, behind: bytes) -> None:
    encoded = varint(number)
    assert read_varint(encoded + behind, 0) == (number, len(encoded))
    assert read_varint(behind + encoded, len(behind)) == (number, len(behind) + len(encoded))


@given(st.integers(0, 2**63 - 1))
def test_varint_is_what_protobuf_writes(number: int) -> None:
    assert onnx.ModelProto(model_version=number).SerializeToString() == bytes([5 << 3]) + varint(number)


@given(models(), st.data())
def test_spliced_payloads_of_any_size_are_what_protobuf_reads(
    proto: onnx.ModelProto, data: st.DataObject
) -> None:
    count = len(proto.graph.initializer)
    chosen = data.draw(st.sets(st.integers(0, count - 1)))
    new = {index: data.draw(payloads) for index in chosen}
    spliced = replaced(proto.SerializeToString(), {raw(i): value for i, value in new.items()})

    expected = onnx.ModelProto()
    expected.CopyFrom(proto)
    for index, value in new.items():
        expected.graph.initializer[index].raw_data = value
    assert onnx.ModelProto.FromString(spliced) == expected
    assert spliced == expected.SerializeToString()


@given(models(), texts)
def test_fields_of_different_depth_at_once(proto: onnx.ModelProto, name: bytes) -> None:
    spliced = replaced(proto.SerializeToString(), {((_GRAPH, 0), (_NAME, 0)): name, raw(0): b"new"})
    read = onnx.ModelProto.FromString(spliced)
    assert read.graph.name.encode() == name
    assert read.graph.initializer[0].raw_data == b"new"


@given(models(), st.binary(min_size=1, max_size=20))
def test_every_other_byte_stays_whatever_it_means(proto: onnx.ModelProto, unknown: bytes) -> None:
    """Unknown fields, before and behind, and lengths encoded longer than need be."""
    field = varint(1000 << 3 | 2) + varint(len(unknown)) + unknown
    graph = proto.graph.SerializeToString()
    padded = bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7 & 0x7F | 0x80, len(graph) >> 14 | 0x80, 0])
    data = field + bytes([_GRAPH << 3 | 2]) + padded + graph + field
    assert onnx.ModelProto.FromString(data).graph == proto.graph

    old = proto.graph.initializer[0].raw_data
    assert replaced(data, {raw(0): old}) == data
    inverted = bytes(255 - byte for byte in old)
    same_size = replaced(data, {raw(0): inverted})
    assert len(same_size) == len(data)
    differing = [i for i, (a, b) in enumerate(zip(data, same_size, strict=True)) if a != b]
    assert [data[i] for i in differing] == list(old)
    longer = replaced(data, {raw(0): old + b"!"})
    assert longer.startswith(field)
    assert longer.endswith(field)


def test_nothing_to_splice_is_the_same_message() -> None:
    data = onnx.ModelProto(producer_name="p").SerializeToString()
    assert replaced(data, {}) == data


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        (raw(1), (_INITIALIZER, 1)),
        (((_GRAPH, 1), (_NAME, 0)), (_GRAPH, 1)),
        (((_GRAPH, 0), (_INITIALIZER, 0), (10, 0)), (10, 0)),
        (((99, 0),), (99, 0)),
    ],
)
def test_a_path_that_is_not_there(path: FieldPath, missing: tuple[int, int]) -> None:
    proto = onnx.ModelProto()
    proto.graph.initializer.add(raw_data=b"1234")
    with pytest.raises(KeyError, match=re.escape(f"no field {missing} in the message")):
        replaced(proto.SerializeToString(), {path: b""})


def test_a_number_cannot_be_replaced_by_bytes() -> None:
    data = onnx.ModelProto(ir_version=8).SerializeToString()
    with pytest.raises(ValueError, match="field 1 is not length-delimited"):
        replaced(data, {((1, 0),): b"9"})


@pytest.mark.parametrize("wire_type", [3, 4, 6, 7])
def test_groups_and_wire_types_that_do_not_exist(wire_type: int) -> None:
    with pytest.raises(ValueError, match=f"wire type {wire_type} of field 2"):
        replaced(bytes([2 << 3 | wire_type]), {((1, 0),): b""})


@pytest.mark.parametrize(
    ("data", "said"), [(b"\xff" * 100_000, "more than 64 bits"), (bytes(100_000), "no field 0")]
)
def test_bytes_that_are_no_message_are_refused_at_once(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replaced(data, {((1, 0),): b""})
