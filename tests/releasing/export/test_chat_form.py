"""Chat templates as pieces of text around the turns."""

import json
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from subprocess import run

import pytest

from harness.models.base import Base
from harness.releasing.export.chat_form import ChatForm, Message, NoFormError, Render, SystemAt, form_of, trims
from harness.releasing.export.go_template import RAW, Modelfile, can_hold, of_chat, of_one_turn
from tests import templates
from tests.templates import tokenizer_with

# a default system prompt where none is given
CHATML = """
{%- if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are "helpful".<|im_end|>\n' }}{% endif -%}
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}
"""

# the system prompt goes into the last user turn
SYSTEM_LAST = """
{{- bos_token -}}
{%- if messages[0].role == 'system' %}{% set told = messages[0].content %}{% set messages = messages[1:] %}{% endif -%}
{%- for m in messages -%}
  {%- if m.role == 'user' -%}
    {{- '[INST] ' + (told + '\n\n' if told and loop.last else '') + m.content + '[/INST]' -}}
  {%- else %}{{ ' ' + m.content + eos_token }}{% endif -%}
{%- endfor -%}
"""

# what is said to it always, and instructions as a turn of their own
DEVELOPER = """
{{- '<|start|>system<|message|>You are a model.\nReasoning: low<|end|>' -}}
{%- if messages[0].role == 'system' -%}
  {{- '<|start|>developer<|message|># Instructions\n\n' + messages[0].content + '<|end|>' -}}
  {%- set messages = messages[1:] -%}
{%- endif -%}
{%- for m in messages -%}
  {%- if m.role == 'assistant' -%}
    {{- '<|start|>assistant<|channel|>final<|message|>' + m.content + ('<|return|>' if loop.last else '<|end|>') -}}
  {%- else %}{{ '<|start|>user<|message|>' + m.content + '<|end|>' }}{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif -%}
"""

NUMBERED = "{% for m in messages %}[{{ loop.index }}] {{ m.role }}: {{ m.content }}\n{% endfor %}[next] "

FORMS = {
    "chatml": CHATML,
    "thinking": templates.THINKING,
    "always thinking": templates.ALWAYS_THINKING,
    "llama 3": templates.HEADERS,
    "gemma": templates.NO_SYSTEM,
    "mistral": templates.BRACKETS,
    "mistral, system last": SYSTEM_LAST,
    "gpt-oss": DEVELOPER,
    "channels": templates.CHANNELS,
}
TALKS: list[list[tuple[str, str]]] = [
    [("user", 'One\n\n`two` {{ three }} "four" \\n')],
    [("system", "You're\nbrief."), ("user", "河")],
    [("user", "a"), ("assistant", "b"), ("user", "c")],
    [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")],
]


def _render(base: Base, template: str) -> Render:
    tokenizer = tokenizer_with(base, template, marks=("<|begin|>", "<|end|>"))

    def render(messages: Sequence[Message]) -> str:
        return tokenizer.render(messages, add_generation_prompt=True)

    return render


def _messages(talk: list[tuple[str, str]]) -> list[Message]:
    return [{"role": role, "content": content} for role, content in talk]


@pytest.mark.parametrize("name", FORMS)
def test_a_form_renders_conversations_byte_for_byte_as_the_template(name: str, base: Base) -> None:
    render = _render(base, FORMS[name])
    form = form_of(render)
    for talk in TALKS:
        assert form.render(_messages(talk)) == render(_messages(talk))
    assert trims(form, render) == ("trim" in FORMS[name])


def test_pieces_say_where_a_system_prompt_goes(base: Base) -> None:
    default = form_of(_render(base, CHATML))
    assert "helpful" in default.opening and "helpful" not in default.before_system
    assert form_of(_render(base, templates.NO_SYSTEM)).after_system == "\n\n"
    last = form_of(_render(base, SYSTEM_LAST))
    assert last.system_at is SystemAt.LAST and (last.before_system, last.after_system) == ("", "\n\n")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (NUMBERED, "otherwise than as pieces"),
        (templates.FORGETFUL, "leaves out"),
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", "leaves out"),
        (
            "{% if messages | length > 1 %}{{ raise_exception('one only') }}{% endif %}{{ messages[0].content }}",
            "refuses",
        ),
    ],
)
def test_a_template_that_is_more_has_no_form(template: str, why: str, base: Base) -> None:
    with pytest.raises(NoFormError, match=why):
        form_of(_render(base, template))


def _form(**pieces: str) -> ChatForm:
    given = {"opening": "<u>", "answered": "</u><a>", "asked": "</a><u>", "ending": "</u><a>"}
    return ChatForm(**given | {"before_system": "<s>", "after_system": "</s><u>"} | pieces, system_at=SystemAt.FIRST)


def test_a_modelfile_holds_the_pieces_as_go_strings() -> None:
    written = of_chat(_form(opening='<|u|>\n"\\'))
    assert '{{ "<|u|>\\n\\"\\\\" }}' in written and "\n" not in written
    said = Modelfile(origin="./m.gguf", template=written, system="Be\nbrief.", stop=["<|e|>", 'a"b'], notes=["Mind."])
    assert said.text().startswith('# Mind.\nFROM ./m.gguf\nTEMPLATE """{{ range')
    assert 'SYSTEM """Be\nbrief."""\nPARAMETER stop "<|e|>"\nPARAMETER stop """a"b"""\n' in said.text()
    assert can_hold(None) and can_hold("a 'b' \"c\" d") and not can_hold('""" ends it') and not can_hold('so "it"')
    assert of_one_turn("", "Q: ", "\nA:", system=False) == '{{ "Q: " }}{{ .Prompt }}{{ "\\nA:" }}{{ .Response }}'
    assert '"""' not in written + RAW


@pytest.mark.slow
@pytest.mark.skipif(which("go") is None, reason="Go's own template language is not here")
def test_go_renders_what_the_chat_template_does(base: Base, tmp_path: Path) -> None:
    """With Go's text/template itself, on the records that Ollama hands it."""
    cases, wanted = [], []
    for template in FORMS.values():
        render = _render(base, template)
        for talk in TALKS:
            cases.append({"template": of_chat(form_of(render)), "messages": _messages(talk)})
            wanted.append(render(_messages(talk)))
    (tmp_path / "main.go").write_text(GO, encoding="utf-8")
    words = ["go", "run", "main.go"]
    ended = run(words, cwd=tmp_path, input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=300)
    assert json.loads(ended.stdout) == wanted


GO = """package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type talk struct {
	Template string     `json:"template"`
	Messages []*message `json:"messages"`
}

func main() {
	var talks []talk
	if err := json.NewDecoder(os.Stdin).Decode(&talks); err != nil {
		panic(err)
	}
	var rendered []string
	for _, each := range talks {
		var told []string
		for _, m := range each.Messages {
			if m.Role == "system" {
				told = append(told, m.Content)
			}
		}
		var out bytes.Buffer
		values := map[string]any{"System": strings.Join(told, "\\n\\n"), "Messages": each.Messages, "Response": ""}
		if err := template.Must(template.New("").Parse(each.Template)).Execute(&out, values); err != nil {
			panic(err)
		}
		rendered = append(rendered, out.String())
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(rendered); err != nil {
		panic(err)
	}
}
"""


def test_a_note_of_two_lines_is_one_comment_in_a_modelfile() -> None:
    text = Modelfile(origin="./model", template=RAW, system=None, stop=[], notes=["it refuses:\nno system"]).text()
    assert text.startswith("# it refuses: no system\nFROM ./model\n")
