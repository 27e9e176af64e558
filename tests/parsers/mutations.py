"""Seeded damage: one recorded document in, one hostile document out. Knows JSON, XML and lines of text."""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

Corpus = Mapping[str, Sequence[bytes]]  # kind -> documents, the small ones first

LARGEST: Final = 2_000_000  # bytes of a damaged document
_LARGEST_PARSED: Final = 600_000


def _words(*lines: bytes) -> tuple[bytes, ...]:
    return tuple(word for line in lines for word in line.split(b"`"))


#: What breaks readers, wherever it stands.
NASTY: Final = _words(
    b"\0`\xff`\xc3`\xed\xa0\x80`\xf4\x90\x80\x80`\xef\xbb\xbf`\xfe\xff`\x1b[2J`\r`\n`\t`\x0b`\x1c`\x85`\x7f",
    "\u2028`\u202e`\u0301`\u0130`\u212a`\u0660`\u00b2`\u2460`\uff11`\U0001f980`\ufffd".encode(),
    rb"\u0000`\ud800`\udc00\ud800`null`true`NaN`Infinity`{}`[]`" + rb"""""`''`\`/`../`%00`%s""",
)
NUMBERS: Final = (
    *_words(b"0`-1`-0`1.5`1e5`1e999`-1e999`007`0x10`1_000`+1`1.`2147483648`9223372036854775807"),
    *_words(b"9223372036854775808`-9223372036854775809`18446744073709551616"),
    *(b"9" * digits for digits in (19, 20, 400, 4301)),
    *(b"0" * 5000 + b"1", b"1." + b"0" * 5000),
)
#: JSON that the standard library does not write, then some that is none.
_RAW: Final = (
    *_words(rb'-0`1E+5`1e999`-1e999`1.0000000000000000000001`"\ud800"`"\u0000"`"\udc00\ud800"`"\/\b\f"'),
    *(number for number in NUMBERS if number.lstrip(b"-").isdigit() and not number.startswith(b"0")),
)
_NO_JSON: Final = (
    *NUMBERS,
    *_words(rb'"\x"`tru`nul`' + b'\'a\'``,`"\xff"`"\xed\xa0\x80"`"\t"`NaN`-Infinity'),
)
_SIMPLE: Final = _words(
    b'null`true`false`{}`[]`""`0`-1`1e300`[null]`[[]]`[{}]`{"": null}`"UNKNOWN"`"unknown"`" "`"1.0"`1.0',
    b'["1.0"]`{"1.0": []}`{"1.0": {}}`{"sha256": "0"}`"https://["`"2026-11-22T10:00:00+25:00"',
)
_BRACKETS: Final = ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"info":', b"}]"), (b'{"files":[', b"]}"))
_DEPTHS: Final = (3, 90, 400, 990, 1100, 20_000)

_DATES: Final = _words(
    b"`now`Thu, 01 Jan 1970 00:00:00 GMT`Wed, 31 Dec 1969 23:59:59 GMT`2026-11-22`2026-W47-7`-2026-11-22",
    b"Mon, 32 Foo 2026 25:61:61 GMT`Sun, 22 Nov 99999 10:00:00 GMT`Sun, 22 Nov 0000 10:00:00 GMT",
    b"Sun, 22 Nov 2026 10:00:00 +9999`Fri, 31 Dec 9999 23:59:59 -1400`Sat, 01 Jan 0001 00:00:00 +1400",
    b"2026-11-22T10:00:00+25:00`Sun, 22 Nov 2026 10:00:00 PST`" + b"9" * 30,
)
_LINKS: Final = _words(
    b"`https://pypi.org/project/`https://pypi.org/project//1.0/`//`http://[`http://[::1`javascript:1",
    b"https://pypi.org/project/kelp/1.0/?a=b#c`https://pypi.org/project/kelp/1.0/2.0/`file:///x",
    b"https://pypi.org/project/%00/%ff/`https://pypi.org/project/Kelp_Moor/1.0%2Bkelp/`" + b"x" * 5000,
    b"http://pypi.org:99999999/project/kelp/1.0/`https://pypi.org/project/../../x/1.0/",
)
_TITLES: Final = _words(
    b"` `kelp`kelp added to PyPI`kelp 1.0 2.0`1.0`kelp  1.0`\xc2\xa0 1`\xff 1.0`kelp \xe2\x80\xa8`kelp \0",
)
_ENCODINGS: Final = _words(
    b"utf-16`utf-32`utf-7`cp037`idna`punycode`rot13`base64`zlib`unicode_escape`raw_unicode_escape`undefined",
    b"nope``\0`latin-1`big5`hz`iso2022_jp`mbcs",
)
_LAUGHS: Final = b"".join(
    b'<!ENTITY %c "%s">' % (char + 1, b"&%c;" % char * 10) for char in range(ord("a"), ord("i"))
)
_DOCTYPES: Final = _words(
    b'<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa">' + _LAUGHS + b"]>",
    b'<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/hostname">]>`<!DOCTYPE rss [`<!DOCTYPE `<!ELEMENT a (b)>',
    b'<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/x" [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]>',
    b'<!DOCTYPE rss [<!ENTITY a "&b;"><!ENTITY b "&a;">]>',
)
_ELEMENTS: Final = _words(
    b"rss`channel`item`title`link`pubDate`guid`entry`feed`updated`author`content:encoded`dc:date`atom:link",
    b"media:content`georss:point`gml:pos`textinput`image`cloud`category`enclosure`source`description`rdf:RDF",
    b"psc:chapter`itunes:image`svg`math`script`a:b:c`xhtml:div`creativecommons:license`published",
)
_ATTRIBUTES: Final = _words(
    b' xmlns="http://www.w3.org/2005/Atom"` xmlns:x="y"` xml:base="http://["` xml:lang="\xff"` a="1" a="2"',
    b' type="application/xhtml+xml"` mode="base64"` mode="escaped"` isPermaLink="true"` version="9e9"',
    b""" href="http://[::"` rel="self"` srsName='x' srsDimension='9'` scheme="&#0;"``""",
)
_XML: Final = _words(
    b"<![CDATA[`]]>`<!--`-->`<?x ?>`<?xml version='1.0'?>`&a;`&i;`&amp;`&nope;`&#0;`&#xD800;`&#x110000;`&#x",
    b"&#99999999999999999999;`</`<`>`<!`<![`<?`</rss>",
)

#: Words of each format, thrown in between its tokens.
WORDS: Final[Mapping[str, Sequence[bytes]]] = {
    "requirements": _words(
        b"-r `-r more.txt\n`-r=more.txt`--requirement `-c `-e `--hash=sha256:`\\\n` #` @ `;`[`]`===`~=`!=",
        b"==1.*`@https://example.org/x.whl`; python_version >= '3'`,`(`)`git+`://`; extra == ''` --`' or '`=",
    ),
    "profiles": _words(
        b'&a `*a`*`!!python/object:os.system `!!int `!x `!<tag:`"\\UFFFFFFFF"`"\\ud800"`"\\x00"`---\n`...\n',
        b"%YAML 1.1\n`%TAG ! x\n`%YAML 9.9\n`<<: `? `|\n`>-\n`- `: `[`]`{`}`~`0x1F`1:30:00`2026-11-22",
        b"\t`'`\"`[a-`[!a]`[]`**`!%ff`%YAML " + b"9" * 5000 + b".1\n",
    ),
    "env": _words(
        b"export `=`'`\"`\\`\\'`${HOME}`$(`#` # `\n\n`\r\n`:`'a`PYPI_CONCURRENCY=`PYPI_URL=http://[`\x0c",
        b"DATABASE_URL=sqlite://`TYPESENSE_HOST=`PYF_DATA_DIR=~nobody-here/`STALE_PATIENCE=",
    ),
    "packed": (b"\x1f\x8b\x08", b"\0" * 8, b"\xff" * 4, gzip.compress(b"x", mtime=0)),
    "retry_after": (*_DATES, *_words(b"GMT`+0000`-9999`,` `(`)`\xb2`Feb`PM"), b"1" * 5000),
    "versions": (
        *_words(b"!`v`a`rc`.post`.dev`+`-`_`.`alpha`c`pre`rev` `\xd9\xa1`\xc2\xb2"),
        *(b"9" * 36, b"1" * 3999, b"1" * 5000, b"1." * 900, b"a1" * 900, b"+" + b"a." * 900),
    ),
    "package_names": _words(
        b"'`''`\\`\\'`)`--`/*`*/`;`{names}`{today}`%`\0`-`_`.`\n`A`\xd0\xb0`\xc4\xb1`FORMAT TSV"
    ),
    "filenames": (
        *_words(
            b"-`_`.`.whl`.tar.gz`.zip`.egg`.exe`-py3-none-any`-cp311-cp311-`+`-1-`-1.0`--`1!`\0` `.post1`\n"
        ),
        *(b"9" * 5000, b"a" * 990, b"-0" * 400),
    ),
}

_TOKEN: Final = re.compile(rb"[A-Za-z]+|[0-9]+|\s|[^A-Za-z0-9\s]")
_DIGITS: Final = re.compile(rb"[0-9]+")
_TAG_OR_TEXT: Final = re.compile(rb"<[^>]*>|[^<]+|<")
_MEMBER: Final = re.compile(rb'"[A-Za-z_.-]{1,30}": ?')


def mutate(dice: Random, kind: str, corpus: Corpus) -> bytes:
    """A document made of those of `kind` (seldom of others) that may be damaged in any way."""
    document = pick(dice, corpus[kind if dice.random() < 0.98 else dice.choice(sorted(corpus))])
    structural = STRUCTURAL.get(kind, damaged_text)
    if dice.random() < 0.75:
        document = structural(dice, document, kind, corpus)
    if dice.random() < 0.3:
        for _ in range(dice.choice((1, 1, 1, 2, 4, 16))):
            document = dice.choice(BYTES)(dice, document, pick(dice, corpus[kind]))[:LARGEST]
    if dice.random() < 0.02:
        document = _amplified(dice, document)
    return document[:LARGEST]


def pick(dice: Random, documents: Sequence[bytes]) -> bytes:
    """One of the documents; small ones more often, because they are quick."""
    return documents[int(len(documents) * dice.random() ** 2)]


# --- bytes


def _place(dice: Random, data: bytes, longest: int = 64) -> tuple[int, int]:
    start = dice.randint(0, len(data))
    length = dice.randint(0, min(longest, len(data) - start))
    if dice.random() < 0.1:
        length = dice.randint(0, len(data) - start)
    return start, start + length


def _flipped(dice: Random, data: bytes, _: bytes) -> bytes:
    changed = bytearray(data)
    for _time in range(dice.choice((1, 1, 2, 8))):
        if changed:
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(dice: Random, data: bytes, _: bytes) -> bytes:
    end = dice.randint(0, len(data))
    return data[:end] if dice.random() < 0.8 else data[end:]


def _without(dice: Random, data: bytes, _: bytes) -> bytes:
    start, end = _place(dice, data)
    return data[:start] + data[end:]


def _twice(dice: Random, data: bytes, _: bytes) -> bytes:
    start, end = _place(dice, data)
    return data[:end] + data[start:end] * dice.choice((1, 1, 2, 30)) + data[end:]


def _spliced(dice: Random, data: bytes, other: bytes) -> bytes:
    start, end = _place(dice, other, len(other))
    cut, resume = _place(dice, data)
    return data[:cut] + other[start:end] + (data[resume:] if dice.random() < 0.5 else b"")


def _with_nasty(dice: Random, data: bytes, _: bytes) -> bytes:
    start, end = _place(dice, data, 4)
    return data[:start] + dice.choice(NASTY) * dice.choice((1, 1, 1, 3, 300)) + data[end:]


def _with_number(dice: Random, data: bytes, _: bytes) -> bytes:
    found = list(_DIGITS.finditer(data, pos := dice.randint(0, len(data)), pos + 2000))
    if not found:
        return data + dice.choice(NUMBERS)
    run = dice.choice(found)
    return data[: run.start()] + dice.choice(NUMBERS) + data[run.end() :]


def _recoded(dice: Random, data: bytes, _: bytes) -> bytes:
    encoding = dice.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7", "latin-1"))
    return data.decode("utf-8", "replace").encode(encoding, "replace")


BYTES: Final[tuple[Callable[[Random, bytes, bytes], bytes], ...]] = (
    *(_flipped, _flipped, _cut, _without, _without, _twice, _spliced, _with_nasty, _with_nasty, _with_number),
    _recoded,
)


def _amplified(dice: Random, data: bytes) -> bytes:
    """A piece of it so often that whatever is not linear shows."""
    start, end = _place(dice, data, 40)
    piece = data[start:end] or dice.choice(NASTY)
    return data[:end] + piece * (dice.choice((10_000, 100_000, 1_000_000)) // len(piece)) + data[end:]


# --- text


def damaged_text(dice: Random, data: bytes, kind: str, corpus: Corpus) -> bytes:
    """Tokens exchanged, repeated, left out, or words of the format thrown in."""
    tokens: list[bytes] = _TOKEN.findall(data)
    others = _TOKEN.findall(pick(dice, corpus[kind])) or [b" "]
    for _ in range(dice.choice((1, 2, 3, 6, 20))):
        at = dice.randint(0, len(tokens))
        action = dice.randrange(7)
        if action == 0:
            del tokens[at : at + dice.choice((1, 1, 3, 10))]
        elif action == 1:
            tokens[at:at] = tokens[at : at + dice.choice((1, 3, 12))] * dice.choice((1, 2, 40))
        elif action == 2:
            tokens[at : at + 1] = [dice.choice(others)]
        elif action == 3:
            tokens[at:at] = [dice.choice(NASTY)]
        elif action == 4:
            tokens[at : at + 1] = [dice.choice(NUMBERS)]
        else:
            tokens[at : at + action - 5] = [dice.choice(WORDS[kind])] * dice.choice((1, 1, 1, 2, 50))
    return b"".join(tokens)


# --- XML


def damaged_xml(dice: Random, data: bytes, kind: str, corpus: Corpus) -> bytes:
    """Tags and texts exchanged, renamed, nested, repeated; entities, encodings and odd dates thrown in."""
    parts: list[bytes] = _TAG_OR_TEXT.findall(data)
    others = _TAG_OR_TEXT.findall(pick(dice, corpus[kind])) or [b"<item>"]
    for _ in range(dice.choice((1, 2, 3, 6, 20))):
        at = dice.randint(0, len(parts))
        action = dice.randrange(12)
        if action == 0:
            del parts[at : at + dice.choice((1, 1, 2, 9))]
        elif action == 1:
            parts[at:at] = parts[at : at + dice.choice((1, 3, 20))] * dice.choice((1, 2, 40))
        elif action == 2:
            parts[at : at + 1] = [dice.choice(others)]
        elif action == 3:
            parts[at:at] = [dice.choice((*NASTY, *_XML))]
        elif action == 4:
            parts[0:0] = [dice.choice(_DOCTYPES)]
            parts[at + 1 : at + 1] = [dice.choice((b"&a;", b"&i;"))]
        elif action == 5:
            parts[0:1] = [b'<?xml version="1.0" encoding="%s"?>' % dice.choice(_ENCODINGS)]
        elif action == 6:
            depth, element = dice.choice(_DEPTHS), dice.choice(_ELEMENTS)
            parts[at:at] = [b"<%s>" % element * depth, b"</%s>" % element * dice.choice((0, depth))]
        else:
            _change_part(dice, parts, dice.randint(0, max(0, len(parts) - 1)))
    return b"".join(parts)


def _change_part(dice: Random, parts: list[bytes], at: int) -> None:
    if not parts:
        return
    part = parts[at]
    if part.startswith(b"<"):
        slash = b"/" if part.startswith(b"</") else b""
        element = b"<" + slash + dice.choice(_ELEMENTS) if dice.random() < 0.5 else part[:-1]
        parts[at] = element + dice.choice(_ATTRIBUTES) + b">"
    else:
        parts[at] = dice.choice((*_DATES, *_LINKS, *_TITLES, *NASTY, *NUMBERS))


# --- JSON


def damaged_json(dice: Random, data: bytes, kind: str, corpus: Corpus) -> bytes:
    """Values of other types, of other places and of other documents; keys left out, renamed or twice."""
    tree = _Tree(dice, _loaded(data), _loaded(pick(dice, corpus[kind])), small=len(data) < 3000)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 10))):
        tree.change()
    text = tree.written()
    if dice.random() < 0.1:
        members = list(_MEMBER.finditer(text, pos := dice.randint(0, len(text)), pos + 5000))
        if members:
            member = dice.choice(members)
            text = text[: member.start()] + member[0] + dice.choice(_RAW) + b"," + text[member.start() :]
    return text


def _loaded(data: bytes) -> Any:
    if len(data) > _LARGEST_PARSED:
        return []
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return {"projects": [], "name": "kelp", "files": []}


class _Tree:
    """A document that is changed at random places. `other` is the one that strange values come from."""

    def __init__(self, dice: Random, root: Any, other: Any, *, small: bool) -> None:
        self.dice = dice
        self.root = root
        self.other = other
        self.raws: list[bytes] = []
        self._many = 600 if small else 2  # used once: twice would be 360,000 times

    def written(self) -> bytes:
        """The document as JSON, with what the standard library does not write."""
        text = json.dumps(self.root, ensure_ascii=self.dice.random() < 0.5).encode("utf-8", "surrogatepass")
        for number, raw in enumerate(self.raws):
            text = text.replace(b'"@raw %d@"' % number, raw, 3)
        return text

    def change(self) -> None:
        """Walk down to a random place and change what is there."""
        above: Any = None
        key: Any = None
        node = self.root
        while isinstance(node, dict | list) and node and (above is None or self.dice.random() < 0.8):
            above = node
            key = self.dice.choice(list(node)) if isinstance(node, dict) else self.dice.randrange(len(node))
            node = node[key]
        action = self.dice.randrange(12)
        if above is None or action == 0:
            self.root = self._value(self.root) if self.dice.random() < 0.3 else self.root
        elif action == 1:
            del above[key]
        elif action == 2 and isinstance(above, list):
            above[key:key] = above[key : key + 3] * self._repeats()
        elif action == 2:
            above[self._key(key)] = node
        elif action == 3 and isinstance(above, dict):
            above[self._key(key)] = above.pop(key)
        else:
            above[key] = self._value(node)

    def _repeats(self) -> int:
        times = self.dice.choice((1, 2, self._many))
        if times == self._many:
            self._many = 1
        return times

    def _key(self, key: str) -> str:
        """A key that is nearly `key`, or none at all."""
        keys = sorted(self.other) if isinstance(self.other, dict) and self.other else ["a"]
        near = (key.upper(), key + "\0", key[:-1], " " + key, "", "\ud800", "x" * 600, "1.0", "\n")
        return self.dice.choice((*near, self.dice.choice(keys)))

    def _value(self, node: Any) -> Any:
        action = self.dice.randrange(10)
        strange = self.dice.choice(NASTY).decode("utf-8", "surrogateescape")
        if action == 0:
            return json.loads(self.dice.choice(_SIMPLE))
        if action in (1, 2):
            return self._part_of_other()
        if action == 3:
            return [node] * self._repeats()
        if action == 4:
            return {self.dice.choice(("a", "", "name", "1.0")): node}
        if action == 5:
            return strange * self.dice.choice((1, 1, 400))
        if action == 6 and isinstance(node, str):
            at = self.dice.randint(0, len(node))
            return node[:at] + strange + node[at:]
        if action == 6 and isinstance(node, dict | list):
            return list(node) if isinstance(node, dict) else {str(i): value for i, value in enumerate(node)}
        if action == 7:
            opening, closing = self.dice.choice(_BRACKETS)
            depth = self.dice.choice(_DEPTHS)
            self.raws.append(opening * depth + self.dice.choice((b"1", b"null", b"")) + closing * depth)
        else:
            self.raws.append(self.dice.choice(_RAW if self.dice.random() < 0.9 else _NO_JSON))
        return f"@raw {len(self.raws) - 1}@"

    def _part_of_other(self) -> Any:
        part = self.other
        while isinstance(part, dict | list) and part and self.dice.random() < 0.75:
            part = self.dice.choice(list(part.values() if isinstance(part, dict) else part))
        return copy.deepcopy(part)  # or a later change could make the tree hold itself


STRUCTURAL: Final[Mapping[str, Callable[[Random, bytes, str, Corpus], bytes]]] = {
    "project_json": damaged_json,
    "release_json": damaged_json,
    "simple_index": damaged_json,
    "simple_page": damaged_json,
    "github_repository": damaged_json,
    "github_contributors": damaged_json,
    "github_batch": damaged_json,
    "pypistats": damaged_json,
    "clickpy": damaged_json,
    "provenance": damaged_json,
    "feed": damaged_xml,
}
