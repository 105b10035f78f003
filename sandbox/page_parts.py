"""Pieces of HTML. Everything that comes from data goes through `text`, so that none of it is markup."""

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlencode

import msgspec

from sandbox.page_actions import Action, Field
from sandbox.store import Document

TEXT_MAX = 120
SECRETS = frozenset({"client_secret", "secret"})
STYLE = """
:root{color-scheme:light dark;--line:light-dark(#e3e5ea,#2c303a);--soft:light-dark(#667,#9aa);
--card:light-dark(#fff,#191c23);--accent:light-dark(#4b3fd6,#a59cff)}
body{font:15px/1.5 system-ui,sans-serif;margin:0;background:light-dark(#f6f7f9,#101217)}
main,header{max-width:72rem;margin:auto;padding:1rem 1.5rem}h1{font-size:1.3rem;margin:.5rem 0}h2{font-size:1.05rem}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
nav a{display:inline-block;margin:0 1rem .4rem 0}nav em{color:var(--soft);font-style:normal}
section,form{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.2rem;margin:1rem 0}
.forms{display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));gap:1rem}.forms form{margin:0}
label{display:block;margin:.5rem 0;color:var(--soft);font-size:.85rem}
input,select,button{font:inherit;padding:.35rem .6rem;border:1px solid var(--line);border-radius:.4rem;max-width:100%}
input,select{display:block;width:100%;box-sizing:border-box}
button{background:var(--accent);color:light-dark(#fff,#101217);border:0;cursor:pointer;margin-top:.5rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .8rem .4rem 0;vertical-align:top}
tr+tr td{border-top:1px solid var(--line)}th{color:var(--soft);font-weight:500}.wide{overflow-x:auto}
p.told{border-left:.25rem solid var(--accent);padding-left:.8rem}p.hint{color:var(--soft);font-size:.85rem;margin:0}
pre{overflow-x:auto;font-size:.85rem}
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""No script, picture or frame; the one style sheet is named by its digest."""


def text(value: object) -> str:
    """Give a value as text that is safe inside elements and quoted attributes, shortened."""
    return escape(str(value)[:TEXT_MAX])


def link(label: object, **query: object) -> str:
    """Give a link to a view of the page."""
    return f'<a href="/?{escape(urlencode(query))}">{text(label)}</a>'


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Give a table; the cells are HTML already."""
    head = "".join(f"<th scope=col>{text(name)}" for name in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows)
    return f"<div class=wide><table><tr>{head}{lines}</table></div>" if rows else "<p class=hint>Nothing yet.</p>"


def form(action: Action, target: str = "") -> str:
    """Give the form of an action on a document, or on none."""
    fields = "".join(_field(each) for each in action.fields)
    hint = f"<p class=hint>{text(action.hint)}</p>" if action.hint else ""
    return (
        f'<form method=post action="/"><input type=hidden name=do value="{text(action.name)}">'
        f'<input type=hidden name=target value="{text(target)}">{hint}{fields}'
        f"<button>{text(action.label)}</button></form>"
    )


def _field(field: Field) -> str:
    name = text(field.name)
    if field.choices:
        options = "".join(
            f'<option value="{text(each)}"{" selected" if each == field.value else ""}>{text(each or "any")}'
            for each in field.choices
        )
        return f'<label>{text(field.label)}<select name="{name}">{options}</select></label>'
    return f'<label>{text(field.label)}<input name="{name}" inputmode=decimal value="{text(field.value)}"></label>'


def dump(document: Document) -> str:
    """Give a document as indented JSON, without secrets: the page asks for no key."""
    shown = {name: "(hidden)" if name in SECRETS and value else value for name, value in document.items()}
    return f"<pre>{escape(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())}</pre>"


def moment(seconds: float) -> str:
    """Give a moment in UTC to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def whole(title: str, body: str, told: str = "") -> bytes:
    """Give a whole page; `told` is a message above everything."""
    message = f"<p class=told role=status>{text(told)}</p>" if told else ""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{text(title)}</title><style>{STYLE}</style>"
        f'<header><h1><a href="/">Stripe sandbox</a></h1></header><main>{message}{body}</main></html>'
    ).encode()
