"""A name means one model or none."""

import pytest

from harness.errors import HarnessError
from harness.serving.names import Names, label, read_word

RUN = "0123456789abcdef0123456789abcdef"


def names(*words: str, base: str = "builtin:tiny") -> Names:
    return Names({word: read_word(word) for word in words}, base)


def test_models_are_called_as_typed_shorter_and_with_the_base_before() -> None:
    found = names("models:/poet@champion", f"runs:/{RUN}", "none", "some/adapters")
    for name in ("models:/poet@champion", "poet@champion", "poet", "builtin:tiny:poet", "default_model"):
        assert found.find(name) == "models:/poet@champion", name
    for name in (f"runs:/{RUN}", RUN, RUN[:8], f"builtin:tiny:{RUN[:8]}"):
        assert found.find(name) == f"runs:/{RUN}", name
    assert found.find("none") == found.find("builtin:tiny") == "none"
    assert found.find("some/adapters") == found.find("adapters") == "some/adapters"
    assert found.find("poe") is found.find("") is found.find("champion") is None
    assert found.of("none") == ["none", "builtin:tiny"]


def test_a_base_in_a_folder_is_called_by_the_folders_name_too() -> None:
    found = names("none", "models:/poet@champion", base="/models/Qwen-4bit")
    assert found.find("Qwen-4bit") == found.find("/models/Qwen-4bit") == "none"
    assert found.find("Qwen-4bit:poet") == "models:/poet@champion"


def test_a_scale_is_part_of_the_name_and_the_plain_name_is_that_of_the_plain_model() -> None:
    found = names("models:/poet@champion", "models:/poet@champion=0.7", "essay=models:/essay@champion=0.50")
    assert found.find("poet") == found.find("poet@champion") == "models:/poet@champion"
    assert found.find("poet=0.7") == found.find("poet@champion=0.7") == "models:/poet@champion=0.7"
    assert found.find("essay") == found.find("essay=0.5") == "essay=models:/essay@champion=0.50"
    alone = names("models:/poet@champion=0.7")
    assert alone.find("poet") == alone.find("models:/poet@champion") == "models:/poet@champion=0.7"


def test_what_two_models_could_mean_means_neither() -> None:
    found = names("models:/poet@champion", "models:/poet@next")
    assert found.find("poet") is None
    assert found.find("poet@next") == "models:/poet@next"


def test_a_person_is_shown_the_shortest_or_the_models_own() -> None:
    found = names("models:/poet@champion", "verse=models:/poet@next", "none")
    shown = [
        label(read_word(word), found.of(word)) for word in ("models:/poet@champion", "verse=models:/poet@next", "none")
    ]
    assert shown == ["poet@champion", "verse", "builtin:tiny"]


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("models:/poet@champion=5", "a scale must be 0 to 4 times"),
        ("none=0.5", "the bare base has no adapter to scale"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(word: str, complaint: str) -> None:
    with pytest.raises(HarnessError, match=complaint):
        read_word(word)
