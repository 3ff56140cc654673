"""What does a browser make of a page? Nothing of what a payload says may be an element or an attribute."""

from __future__ import annotations

import re
from html.parser import HTMLParser

URLS = {
    *("action", "archive", "background", "cite", "classid", "codebase", "data", "dynsrc", "formaction"),
    *("href", "hx-delete", "hx-get", "hx-patch", "hx-post", "hx-push-url", "hx-put", "hx-replace-url"),
    *("icon", "longdesc", "lowsrc", "manifest", "ping", "poster", "profile", "src", "srcdoc", "srcset"),
    *("usemap", "xlink:href", "xml:base"),
}
OURS = re.compile(r"(?:https?://testserver)?(?:/(?!/)|\?|#|$)|(?:vscode|https?)://[\w.-]*(?:[/?#]|$)")
"""Where a link may go: this site, and the addresses in Django's own pages and in EDITOR_URL."""


class Page(HTMLParser):
    """``wrong``: what should not be there. ``text``: what a person reads, with the values of attributes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        if "xss" in tag or not re.fullmatch(r"[a-z][a-z0-9-]*", tag):
            self.wrong.append(f"element {tag}")
        names = [name for name, _value in attrs]
        if len(set(names)) != len(names):
            self.wrong.append(f"an attribute twice: {tag} {names}")
        for name, value in attrs:
            self.text += f" {value or ''}"
            if "xss" in name or name.startswith(("on", "hx-on", "data-hx-on")) or not is_name(name):
                self.wrong.append(f"attribute {tag}[{name}]")
            if name in ("style", "hx-vals", "hx-vars", "hx-headers") and "xss" in (value or ""):
                self.wrong.append(f"attribute {tag}[{name}={value}]")
            link = re.sub(r"[\x00-\x20]", "", value or "")  # as browsers do
            switch = name in ("hx-push-url", "hx-replace-url") and value in ("true", "false")
            if name in URLS and not switch and not OURS.match(link):
                self.wrong.append(f"link {tag}[{name}={value}]")
            if tag == "meta" and name == "http-equiv" and (value or "").lower() == "refresh":
                self.wrong.append("meta refresh")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.scripts.append(data)
            if "xss" in data:
                self.wrong.append(f"{self._inside}: {data[:100]}")
        self.text += data

    def handle_comment(self, data: str) -> None:
        if "xss" in data:
            self.wrong.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        if "xss" in decl:
            self.wrong.append(f"declaration {decl}")

    handle_pi = unknown_decl = handle_decl

    def shows(self, number: int) -> bool:
        """Whether the text with this number is on the page, as text."""
        return re.search(rf"xss{number}(?!\d)", self.text) is not None


def is_name(name: str) -> bool:
    return re.fullmatch(r"[a-zA-Z_:@][\w:.@-]*", name) is not None
