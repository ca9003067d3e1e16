"""How models say that they will not, or that they are no author, in English and Chinese.

Sees forms of words, not their sense: a person in a text who says one of them is taken for a model.
"""

import re

# the tasks are rewriting and the like; "I can't write" and "I cannot help weeping" are an author's words too
_TASKS = r"assist|help (you )?(with|you)|fulfil|provide|comply|rewrite|rephrase|paraphrase|reproduce|process|generate"
_REFUSAL = re.compile(
    r"\b(as an? (ai|artificial|(large )?language model)"
    r"|i('m| am) (only |just )?(an? )?(ai\b|(large )?language model|unable to|not able to)"
    rf"|i (can(no|')t|can not|won't|will not|must decline to) ({_TASKS})"
    r"|i('m| am) sorry,? but|i must decline|i('m| am) not comfortable|i don't feel comfortable)"
    r"|作为(一个|一名)?(ai|人工智能|大?语言模型|大?模型)|我(只)?是(一个|一名)?(ai|人工智能|大?语言模型)"
    r"|(抱歉|对不起)[，,]?\s*(但)?我?(无法|不能|不会)"
    r"|我(无法|不能)(提供|创作|写|完成|协助|帮助|改写|处理|满足|生成)",
    re.IGNORECASE,
)


def refusal_in(text: str) -> str | None:
    """The words that refuse; None where none do."""
    found = _REFUSAL.search(text.replace("’", "'"))
    return None if found is None else found[0]
