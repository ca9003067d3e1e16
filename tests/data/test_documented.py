"""One file's docstrings are read whatever stands in it, and nothing of it runs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.documented import read_file

PARTS = st.sampled_from(
    [
        "def f(x):\n",
        "class C:\n",
        "    ",
        '"""doc"""',
        "\n",
        "__all__ = ['f']\n",
        "from .a import *\n",
        "if 1:\n",
        "\\",
        "(",
    ]
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("foreign") / "file.py"


@given(content=st.lists(PARTS | st.text(max_size=5)).map("".join) | st.binary(max_size=60))
def test_any_file_gives_docstrings_or_a_problem(content: str | bytes, file: Path) -> None:
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    file.write_bytes(raw)
    docs = read_file(file)
    assert docs.problem is None or (not docs.docstrings and "\n" not in docs.problem)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("add_newdoc('m', 'f', 'T')", ["f"]),
        ("m.add_newdoc('m', 'c', [('a', 'T'), ('b', 'T')])", ["c.a", "c.b"]),
        ("add_newdoc('m', 'f', 'T' % x)", []),
        ("add_newdoc('m', 'f', {[]: 1})", []),
        ("add_newdoc('m', 'f', ('a', 'b', 'c'))", []),
        ("add_newdoc('m', 'f', 5)", []),
        ("add_newdoc('m')", []),
    ],
)
def test_what_is_said_of_compiled_objects_is_read_where_it_is_written_out(
    call: str, names: list[str], file: Path
) -> None:
    file.write_text(call)
    found = read_file(file).docstrings
    assert [each.name for each in found] == names and all(each.module == "m" and each.text == "T" for each in found)


def test_a_signature_before_the_text_is_no_part_of_it(file: Path) -> None:
    file.write_text('add_newdoc("m", "f", """\n    f(\n        x,\n    )\n    --\n\n    f(x)\n\n    Does it.\n    """)')
    assert [each.text for each in read_file(file).docstrings] == ["f(x)\n\nDoes it."]
