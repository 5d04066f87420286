"""A preprocessor of mdBook: a link out of docs/, to a file of the sources, becomes its text, since the book does not contain the file."""

import json
import posixpath
import re
import sys

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def without_outside(path, text):
    def replaced(match):
        image, label, target = match.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return match[0]
        file, _, anchor = target.partition("#")
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
        if inside.startswith(".."):
            return "" if image else label
        if posixpath.basename(inside) == "README.md":
            # What mdBook calls such a page.
            return match[0].replace("README.md", "index.md")
        if "." in posixpath.basename(inside):
            return match[0]
        # A directory stands for the first page in it.
        return f"[{label}]({file.rstrip('/')}/{FIRST[inside]})" if inside in FIRST else label

    # Code is as it is written.
    parts = re.split(r"(^```.*?^```\s*$)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else LINK.sub(replaced, part) for part in parts)


def pages(items):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            yield chapter
            yield from pages(chapter["sub_items"])


if len(sys.argv) > 1:
    # Which outputs it is for: all of them.
    sys.exit(0)
context, book = json.load(sys.stdin)
chapters = [chapter for chapter in pages(book.get("items") or book.get("sections")) if chapter.get("path")]
FIRST = {}
for chapter in chapters:
    FIRST.setdefault(posixpath.dirname(chapter["path"]), posixpath.basename(chapter["path"]))
for chapter in chapters:
    chapter["content"] = without_outside(chapter["path"], chapter["content"])
json.dump(book, sys.stdout)
