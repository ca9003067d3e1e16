"""Parts of an HTML page: every text in it is escaped here."""

from collections.abc import Sequence
from html import escape


def paragraphs(lines: Sequence[str]) -> str:
    return "\n".join(f"<p>{escape(line)}</p>" for line in lines)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "numbers") -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(each)}</td>' for each in row)}</tr>" for row in rows)
    return f"<div class=wide><table class={kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def html_page(title: str, parts: Sequence[str], script: str = "") -> str:
    """A whole page that needs nothing else."""
    return _PAGE.format(
        title=escape(title), script=f"<script>{script}</script>" if script else "", body="\n".join(parts)
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; }}
h1 {{ font-size: 1.4em; overflow-wrap: anywhere; }} h2 {{ font-size: 1.15em; margin-top: 2em; }}
.wide {{ overflow-x: auto; }} table {{ border-collapse: collapse; }}
th, td {{ padding: .25em .7em; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }}
.numbers td {{ font-variant-numeric: tabular-nums; white-space: nowrap; }} .texts td {{ white-space: pre-wrap; }}
.note {{ color: #666; }} pre {{ white-space: pre-wrap; }}
</style>
{script}</head>
<body>
{body}
</body></html>
"""
