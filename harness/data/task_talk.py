"""Talk about the task, which models put around a text that they were asked for: taken off, or found within.

Knows forms of words in English and Chinese. Does not know what was asked.
"""

import re

_TASK = (
    r"(?:re-?writ|re-?phras|paraphras|version|passage|text|paragraph|summar|改写|重写|版本|段落|文本|原文|简化|抽象)"
)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"\A```\w*\n(.*?)\n?```\s*\Z", re.DOTALL)
_TAGS = re.compile(r"\A<(\w+)>\s*(.*?)\s*</\1>\Z", re.DOTALL)
_OPENINGS = [
    # Sure! Here is the rewritten passage:
    re.compile(
        r"\A(?:(?:sure|certainly|of course|okay|ok|absolutely|好的|当然)[^\n:：]{0,40}?[!,.，。！\s]+)?"
        rf"(?:here(?:['’]s| is| are)|below is|this is|以下|下面|这是)[^\n:：]{{0,80}}?{_TASK}[^\n:：]{{0,80}}[:：]\s*",
        re.IGNORECASE,
    ),
    re.compile(r"\A(?:sure|certainly|of course|okay|absolutely|好的|当然可以|当然)[!.,。，！]*\s*\n+", re.IGNORECASE),
    # **Rewritten passage:**
    re.compile(
        r"\A[*#_\s]*(?:(?:neutral|plain|abstract|simplified|final)\s+)?"
        r"(?:rewrite|rewritten(?:\s\w+)?|output|answer|result|version|改写(?:后)?|输出|结果|答案)[*_]*[:：][*_]*\s*",
        re.IGNORECASE,
    ),
]
_CLOSING = re.compile(
    r"\n\s*\n\s*[(（*_]*(?:note\b|let me know|i hope|i have|i['’]ve|i (?:removed|replaced|kept)|feel free|"
    r"注[:：]|说明[:：]|希望|如需|如果您).*\Z",
    re.DOTALL | re.IGNORECASE,
)
_QUOTES = {'"': '"', "“": "”", "「": "」", "«": "»"}
_TALK = re.compile(
    rf"\bre-?written (?:version|passage|text)\b|\b(?:this|the|your|original|given|above) {_TASK}\w* "
    r"(?:describes|says|is about|tells|discusses|depicts)\b|\bas (?:you )?requested\b|"
    r"\b(?:adjectives?|nouns?|placeholders?)\b[^.\n]{0,40}\b(?:removed|replaced|omitted)\b|"
    r"^\W{0,8}(?:option|version|选项|版本) ?[1-9一二]\b|\blet me know if\b|"
    r"改写(?:后|如下|版|的)|以下是|(?:这段|该段|原)(?:文字|文本|段落|文).{0,6}(?:描述|讲述|是关于)|占位符|形容词",
    re.IGNORECASE | re.MULTILINE,
)


def talk_in(text: str) -> str | None:
    """The words of the text that speak of the task; None where none do."""
    found = _TALK.search(text)
    return None if found is None else found[0].strip()


def stripped(reply: str, passage: str) -> str:
    """The reply without what models put around a text: thoughts, fences, tags, a line before, remarks after, quotes.

    What the passage itself begins or ends like is its own.
    """
    text = _THOUGHT.sub("", reply).strip()
    for around, group in ((_FENCE, 1), (_TAGS, 2)):
        if found := around.match(text):
            text = found[group].strip()
    for opening in _OPENINGS:
        if not opening.match(passage):
            text = opening.sub("", text).strip()
    if not _CLOSING.search(passage):
        text = _CLOSING.sub("", text).strip()
    first, last = text[:1], text[-1:]
    whole = len(text) > 1 and _QUOTES.get(first) == last and not {first, last} & set(text[1:-1])
    return text[1:-1].strip() if whole and not passage.startswith(first) else text
