"""What the face of a package names for others is there."""

import ast
import re
from pathlib import Path

import pytest

from harness.config.paths import ROOT

FACES = sorted((ROOT / "harness").glob("*/__init__.py"))


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.parent.name)
def test_a_face_says_what_it_knows_and_names_what_is_there(face: Path) -> None:
    said = ast.get_docstring(ast.parse(face.read_text("utf-8"))) or ""
    assert "Knows" in said or "Does not know" in said
    named = re.sub(r"\([^)]*\)", "", said.partition("Others use:")[2])
    assert named or "__all__" in face.read_text("utf-8"), "or hands it on"
    for module, name in re.findall(r"(\w+)(?:\.(\w+))?", named.replace("for a run ", "")):
        source = (face.parent / f"{module}.py").read_text("utf-8")
        assert not name or re.search(rf"^(?:async )?(?:def|class) {name}\b", source, re.MULTILINE), name
