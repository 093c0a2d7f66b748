from __future__ import annotations

import pytest
from botocore.model import ServiceModel, Shape, StructureShape
from hypothesis import given
from hypothesis import strategies as st

from blemish.s3.protocol.errors import MalformedXMLError
from blemish.s3.protocol.xml_document import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    Element,
    from_xml,
    parse_xml,
)
from blemish.wire.xml_writer import to_xml


def structure(**members: object) -> Shape:
    shapes = {
        "Text": {"type": "string"},
        "Number": {"type": "integer"},
        "Bytes": {"type": "blob"},
        "Flag": {"type": "boolean"},
        "Texts": {"type": "list", "member": {"shape": "Text", "locationName": "Item"}},
        "Flat": {"type": "list", "member": {"shape": "Text"}, "flattened": True},
        "Root": {"type": "structure", "members": members},
    }
    return ServiceModel({"shapes": shapes, "metadata": {}}).shape_for("Root")


ROOT = structure(
    Text={"shape": "Text"},
    Number={"shape": "Number", "locationName": "No"},
    Bytes={"shape": "Bytes"},
    Flag={"shape": "Flag"},
    Texts={"shape": "Texts"},
    Flat={"shape": "Flat", "locationName": "Each"},
)


def test_members_have_the_names_of_the_model() -> None:
    values = {
        "Text": "a<&>b",
        "Number": 7,
        "Bytes": b"\0\xff",
        "Flag": True,
        "Texts": ["a", ""],
        "Flat": ["b", "c"],
    }

    document = to_xml(ROOT, values, tag="Root")

    assert document == (
        "<Root><Text>a&lt;&amp;&gt;b</Text><No>7</No><Bytes>AP8=</Bytes><Flag>true</Flag>"
        "<Texts><Item>a</Item><Item></Item></Texts><Each>b</Each><Each>c</Each></Root>"
    )
    assert from_xml(ROOT, parse_xml(document.encode())) == values


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")))
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    legal = "".join(each for each in text if each >= " " or each in "\t\n\r")

    document = to_xml(ROOT, {"Text": legal}, tag="Root")

    assert from_xml(ROOT, parse_xml(document.encode())) == {"Text": legal}


def test_characters_that_xml_lacks_are_written_by_their_numbers() -> None:
    assert to_xml(ROOT, {"Text": "a\x01"}, tag="Root") == "<Root><Text>a&#x1;</Text></Root>"


def test_namespaces_are_not_part_of_names() -> None:
    document = b'<Root xmlns="urn:a" xmlns:b="urn:b"><b:Text>x</b:Text><Other/></Root>'

    assert from_xml(ROOT, parse_xml(document)) == {"Text": "x"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a>",
        b"<a/><b/>",
        b"\xff\xfe<a/>"[:3],
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>&e;</a>",
        b"<?xml version='1.0' encoding='nonsense'?><a/>",
        b"<?xml version='1.0' encoding='base64'?><a/>",
        b"<?xml version='1.0' encoding='idna'?><a/>",
        b"<?xml version='1.0' encoding='UTF-32'?><a/>",
        b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1),
    ],
)
def test_a_body_that_is_no_plain_document_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedXMLError):
        parse_xml(body)


def test_a_document_may_be_as_deep_as_the_limit() -> None:
    root = parse_xml(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH)

    assert root.name == "a"


def test_a_document_may_have_as_many_elements_as_the_limit() -> None:
    root = parse_xml(b"<a>" + b"<b/>" * (MAX_ELEMENTS - 1) + b"</a>")

    assert len(root.children) == MAX_ELEMENTS - 1
    with pytest.raises(MalformedXMLError, match="elements"):
        parse_xml(b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>")


def test_a_document_has_no_more_attributes_than_elements() -> None:
    text = b"<a>" + b"=" * MAX_ELEMENTS + b"</a>"
    attributes = b"".join(b' b%d = "c"' % number for number in range(MAX_ELEMENTS + 1))

    assert len(parse_xml(text).text) == MAX_ELEMENTS
    with pytest.raises(MalformedXMLError, match="attributes"):
        parse_xml(b"<a" + attributes + b"/>")


@pytest.mark.timeout(60)
def test_text_between_elements_is_gathered_in_a_time_that_grows_with_it() -> None:
    text = "x" * 250  # added to what was there each time, all of it took minutes
    count = MAX_ELEMENTS - 1

    root = parse_xml(f"<a>{f'{text}<b/>' * count}</a>".encode())

    assert root.text == text * count


@pytest.mark.parametrize(
    "inside",
    [
        "<No>x</No>",
        "<No>1</No><No>1</No>",
        "<No>99999999999</No>",
        "<Flag>maybe</Flag>",
        "<Bytes>*</Bytes>",
        "<Text><b/></Text>",
    ],
)
def test_a_member_of_another_type_is_refused(inside: str) -> None:
    with pytest.raises(MalformedXMLError):
        from_xml(ROOT, parse_xml(f"<Root>{inside}</Root>".encode()))


def test_an_unknown_member_is_a_fault_of_ours() -> None:
    assert isinstance(ROOT, StructureShape)
    assert from_xml(ROOT, Element("Root")) == {}
    with pytest.raises(ValueError, match="Texd"):
        to_xml(ROOT, {"Texd": "a"}, tag="Root")
