"""Docstrings of real packages become questions and answers, and none of the packages' code runs."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import PrepareCommand
from harness.data.kinds import Kind
from harness.data.sources.docstrings import Settings
from harness.data.sources.find import find_source
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError, SettingError
from tests.conftest import compose_config

Read = Callable[..., list[Found | Rejected]]
OVERLOADED = '''
"""Shapes."""
from typing import overload

class Circle:
    """Round.

        Very.
    """

    def __init__(self) -> None:
        """Private, as its name says."""

    @overload
    def grow(self, by: int) -> None:
        """Grow by a number."""
    @overload
    def grow(self, by: float) -> None:
        """Grow by a share."""

    @property
    def area(self) -> float:
        """ """

    def undocumented(self) -> None: ...

def _hidden() -> None:
    """Not for users."""

if True:
    def square() -> None:
        """Not round."""
'''


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """The rows of packages, with some settings changed; `beside`: a folder of packages."""
    composed = compose_config("source=docstrings", "source.packages=[]", command=PrepareCommand, config_name="prepare")
    own = {name: composed.source[name] for name in Settings.__dataclass_fields__}
    tools = Tools(count_tokens=None, say=print, cache=tmp_path_factory.mktemp("cache"))

    def rows(*packages: str, beside: Path | None = None, **settings: Any) -> list[Found | Rejected]:
        return list(find_source("docstrings", own | {"packages": list(packages)} | settings).rows(beside, tools))

    return rows


@pytest.fixture(scope="module")
def real(read: Read) -> list[Found | Rejected]:
    return read("mlx", "numpy")


def texts(rows: list[Found | Rejected]) -> dict[str, str]:
    return {row.lineage["object"]: row.line["text"] for row in rows if isinstance(row, Found)}


def test_real_packages_have_their_docstrings_in_the_known_form(real: list[Found | Rejected]) -> None:
    found = Counter(row.label for row in real if isinstance(row, Found))
    assert found["mlx"] > 500 and found["numpy"] > 1200
    by_object = texts(real)
    asked, _, answer = by_object["mlx.nn.ReLU"].partition("\nA: ")
    assert asked.startswith("Q: ") and "ReLU" in asked and "mlx" in asked
    assert answer.startswith("Applies the Rectified Linear Unit.\n")
    assert all(len(text.partition("\nA: ")[2]) <= 2048 for text in by_object.values())
    assert not any(part.startswith("_") for name in by_object for part in name.split("."))
    bad = [row for row in real if isinstance(row, Rejected) and row.kind.bad]
    assert bad == []


def test_compiled_objects_and_those_of_private_modules_are_found_where_users_import_them(
    real: list[Found | Rejected],
) -> None:
    by_object = texts(real)
    assert "A: Matrix multiplication.\n" in by_object["mlx.core.matmul"]  # in a stub
    assert "A: array(object, dtype=None," in by_object["numpy.array"]  # said by add_newdoc
    assert "A: Matrix or vector norm.\n" in by_object["numpy.linalg.norm"]  # of numpy.linalg._linalg
    assert "numpy.sum" in by_object and "numpy.ma.sum" not in by_object
    private = {row.origin.partition(":")[0] for row in real if isinstance(row, Rejected)}
    assert "numpy/_core/_dtype.py" in private


def test_a_question_names_the_module_where_several_objects_have_the_name(real: list[Found | Rejected]) -> None:
    by_object = texts(real)
    asked = {name: by_object[name].partition("\n")[0] for name in ("numpy.char.array", "numpy.rec.array")}
    assert "numpy.char" in asked["numpy.char.array"] and "numpy.rec" in asked["numpy.rec.array"]


def test_processes_read_the_standard_library_and_give_the_rows_that_one_gives(read: Read) -> None:
    every = [row for row in read("stdlib") if isinstance(row, Found)]
    assert len(every) > 4000 and {row.label for row in every} == {"stdlib"}
    together = [row for row in every if row.origin.startswith("json/")]
    alone = [row for row in read("json") if isinstance(row, Found)]
    assert together == [dataclasses.replace(row, label="stdlib") for row in alone]


def test_nothing_of_a_package_is_run_and_its_private_and_empty_docstrings_are_counted(
    read: Read, tmp_path: Path
) -> None:
    (tmp_path / "shapes_of_mine").mkdir()
    (tmp_path / "shapes_of_mine" / "__init__.py").write_text(f"{OVERLOADED}\nraise SystemExit('it was run')")
    rows = read("shapes_of_mine", beside=tmp_path, forms=1, questions=["{what} {name} of {where}?"])
    found = [row for row in rows if isinstance(row, Found)]
    assert [row.line["text"].partition("A: ")[2] for row in found] == [
        "Shapes.",
        "Round.\n\nVery.",
        "Grow by a number.",
        "Grow by a share.",
        "Not round.",
    ]
    assert found[2].line["text"].startswith("Q: method Circle.grow of shapes_of_mine?\n")
    assert {row.group for row in found[1:4]} == {"shapes_of_mine.Circle"}
    left = [(row.kind, row.origin, row.reason) for row in rows if isinstance(row, Rejected)]
    assert left == [
        (Kind.UNWANTED, "shapes_of_mine/__init__.py:12", "it is private"),
        (Kind.UNWANTED, "shapes_of_mine/__init__.py:23", "it is empty"),
        (Kind.UNWANTED, "shapes_of_mine/__init__.py:28", "it is private"),
    ]
    assert "shapes_of_mine" not in sys.modules


def test_a_file_that_is_no_python_is_named_and_a_stub_adds_only_what_the_module_lacks(
    read: Read, tmp_path: Path
) -> None:
    package = tmp_path / "halved"
    package.mkdir()
    (package / "__init__.py").write_text('def one():\n    """In the module."""\n')
    (package / "__init__.pyi").write_text(
        'def one() -> None:\n    """In the stub."""\n\ndef two() -> None:\n    """In the stub alone."""\n'
    )
    (package / "old.py").write_text("print 'no parentheses'\n")
    rows = read("halved", beside=tmp_path)
    assert {name: text.partition("A: ")[2] for name, text in texts(rows).items()} == {
        "halved.one": "In the module.",
        "halved.two": "In the stub alone.",
    }
    assert [(row.kind, row.origin) for row in rows if isinstance(row, Rejected)] == [(Kind.UNREADABLE, "halved/old.py")]


def test_long_docstrings_end_with_a_paragraph_or_are_left_out(
    read: Read, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "long_one.py").write_text('"""One two.\n\nThree four.\n\nFive six seven.\n"""\n')
    (cut,) = read("long_one", beside=tmp_path, limit=30)
    assert isinstance(cut, Found) and cut.line["text"].partition("A: ")[2] == "One two.\n\nThree four."
    assert cut.lineage["cut_from"] == 38
    assert capsys.readouterr().out.startswith("1 answers are cut to source.limit=30; ")
    (cut,) = read("long_one", beside=tmp_path, limit=7)
    assert isinstance(cut, Found) and cut.line["text"].partition("A: ")[2] == "One"
    (dropped,) = read("long_one", beside=tmp_path, limit=30, longer="drop")
    assert isinstance(dropped, Rejected) and dropped.kind is Kind.TOO_LONG


def test_each_docstring_is_asked_about_in_so_many_forms_as_messages(read: Read) -> None:
    rows = [row for row in read("json", forms=3, format="messages", system="S") if isinstance(row, Found)]
    loads = [row for row in rows if row.lineage["object"] == "json.loads"]
    assert len({row.line["messages"][1]["content"] for row in loads}) == 3
    assert {row.group for row in loads} == {"json.loads"}
    assert [each["role"] for each in loads[0].line["messages"]] == ["system", "user", "assistant"]
    assert {row.lineage["version"] for row in rows} == {f"python {sys.version.split()[0]}"}


def test_a_distribution_is_found_by_the_name_it_is_installed_under(read: Read) -> None:
    rows = [row for row in read("charset-normalizer") if isinstance(row, Found)]
    assert rows and {row.label for row in rows} == {"charset-normalizer"}
    assert any(row.lineage["object"] == "charset_normalizer.from_bytes" for row in rows)


@pytest.mark.parametrize(
    ("package", "complaint"),
    [
        ("nunpy", "source.packages=nunpy is not installed; did you mean numpy"),
        ("numpy.linalgs", "source.packages=numpy.linalgs is no module of numpy; did you mean numpy.linalg"),
        ("math", "source.packages=math has no Python files and no stubs"),
        ("zxqwv", "source.packages=zxqwv is not installed; install it"),
        ("", "source.packages= is not installed"),
        ("../numpy", "source.packages=../numpy is not installed"),
    ],
)
def test_a_package_that_is_not_there_is_named_with_the_closest(package: str, complaint: str, read: Read) -> None:
    with pytest.raises(SettingError, match=complaint):
        read(package)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"questions": ["What is {nam}?"]}, "source.questions may have .* but got 'What is {nam}"),
        ({"system": "S"}, "source.system needs source.format=messages"),
        ({"beside": Path("nowhere")}, "source.path=nowhere must be a folder"),
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, Any], complaint: str, read: Read) -> None:
    with pytest.raises(HarnessError, match=complaint):
        read("json", **settings)
