"""Checks the rendered book: every link of a page leads to a file of the book and to an anchor in it."""

import html
import os
import re
import sys

book = sys.argv[1]
# Pages that repeat the others.
REPEATS = ("print.html", "toc.html", "404.html")


def read(path):
    with open(path, encoding="utf8") as file:
        return file.read()


def pages():
    for folder, _, files in os.walk(book):
        for name in files:
            if name.endswith(".html") and name not in REPEATS:
                yield os.path.join(folder, name)


def leads_somewhere(page, link):
    path, _, anchor = link.partition("#")
    target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
    if not os.path.isfile(target):
        return False
    return not anchor or f'id="{anchor}"' in read(target)


count, broken = 0, []
for page in pages():
    main = read(page).split("<main>")[1].split("</main>")[0]
    for link in map(html.unescape, re.findall(r'href="([^"]+)"', main)):
        if re.match(r"[a-z]+:", link):
            continue
        count += 1
        if not leads_somewhere(page, link):
            broken.append(f"{os.path.relpath(page, book)}: {link}")
assert count > 100, f"the book has only {count} links"
assert not broken, "links of the book that lead nowhere:\n" + "\n".join(sorted(broken))
print(f"ok   {count} links of the book")
