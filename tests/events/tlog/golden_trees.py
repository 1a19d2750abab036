"""Golden vectors of hashes, proofs, tiles, bundles and canonical JSON."""

from __future__ import annotations

from typing import Any

from tests.events.tlog.golden import EMPTY, Case, accepted, flipped, refused
from tests.events.tlog.independent import (
    LEAVES,
    mth,
    path,
    proof,
)


def leaf_hash() -> list[Case]:
    return [
        accepted("nothing", [b""], mth([b""])),
        accepted("a text", [b"L123456"], mth([b"L123456"])),
        *[refused(f"a {type(value).__name__}", [value]) for value in ("text", None, 7, [b"a"])],
    ]


def tree_root() -> list[Case]:
    return [
        *[accepted(f"{size} leaves of the reference tree", [LEAVES[:size]], mth(LEAVES[:size])) for size in range(9)],
        accepted("300 leaves", [[b"%d" % n for n in range(300)]], mth([b"%d" % n for n in range(300)])),
        refused("one text in place of leaves", ["leaves"]),
        refused("bytes in place of leaves", [b"leaves"]),
        refused("a leaf that is not bytes", [[b"a", "b"]]),
        refused("a number", [5]),
        refused("nothing", [None]),
    ]


def verify_inclusion() -> list[Case]:
    def given(at: int, of: int, /, **changed: Any) -> list[Any]:
        leaves = LEAVES[:of]
        base = {"index": at, "size": of, "leaf": mth(leaves[at : at + 1]), "proof": path(at, leaves),
                "root": mth(leaves)}  # fmt: skip
        return list({**base, **changed}.values())

    five = path(4, LEAVES[:5])
    return [
        *[
            accepted(f"leaf {index} of {size}", given(index, size), None)
            for size in range(1, 9)
            for index in range(size)
        ],
        refused("another root", given(2, 7, root=flipped(mth(LEAVES[:7]))), "Unverified"),
        refused("another leaf", given(2, 7, leaf=mth([b"other"])), "Unverified"),
        refused("another index", given(2, 7, index=3), "Unverified"),
        refused("the index beyond the size", given(2, 7, index=7)),
        refused("a size with another height", given(2, 7, size=3), "Unverified"),
        refused("a larger size", given(2, 7, size=9), "Unverified"),
        refused("a hash too few", given(4, 5, proof=[]), "Unverified"),
        refused("a hash too many", given(4, 5, proof=[*five, EMPTY]), "Unverified"),
        refused("a hash for a tree of one leaf", given(0, 1, proof=[EMPTY]), "Unverified"),
        refused("hashes in another order", given(2, 8, proof=path(2, LEAVES)[::-1]), "Unverified"),
        refused("a short hash", given(4, 5, proof=[five[0][:31]])),
        refused("a short root", given(4, 5, root=EMPTY[:31])),
        refused("a long leaf hash", given(4, 5, leaf=EMPTY + b"0")),
        refused("no tree", given(0, 1, size=0)),
        refused("a negative index", given(0, 1, index=-1)),
        refused("an index that is true", given(1, 2, index=True)),
        refused("a size that is a text", given(1, 2, size="2")),
        refused("a size of 2^63", given(1, 2, size=2**63)),
        refused("a proof that is a text", given(1, 2, proof="proof")),
        refused("no proof", given(1, 2, proof=None)),
    ]


def verify_consistency() -> list[Case]:
    def given(old: int, new: int, /, **changed: Any) -> list[Any]:
        base = {"size1": old, "size2": new, "proof": proof(old, LEAVES[:new]), "root1": mth(LEAVES[:old]),
                "root2": mth(LEAVES[:new])}  # fmt: skip
        return list({**base, **changed}.values())

    return [
        *[
            accepted(f"{size1} to {size2}", given(size1, size2), None)
            for size2 in range(9)
            for size1 in range(size2 + 1)
        ],
        refused("backwards", given(3, 7, size1=7, size2=3)),
        refused("another first root", given(3, 7, root1=EMPTY), "Unverified"),
        refused("another second root", given(3, 7, root2=EMPTY), "Unverified"),
        refused("another first root of a full tree", given(4, 7, root1=EMPTY), "Unverified"),
        refused("another second root of a full tree", given(4, 7, root2=EMPTY), "Unverified"),
        refused("a hash too few", given(3, 7, proof=proof(3, LEAVES[:7])[:-1]), "Unverified"),
        refused("a hash too many", given(3, 7, proof=[*proof(3, LEAVES[:7]), EMPTY]), "Unverified"),
        refused("no hash", given(3, 7, proof=[]), "Unverified"),
        refused("no hash from a full tree", given(4, 7, proof=[]), "Unverified"),
        refused("hashes in another order", given(3, 7, proof=proof(3, LEAVES[:7])[::-1]), "Unverified"),
        refused("a root for size 0", given(0, 5, root1=mth(LEAVES[:1])), "Unverified"),
        refused("a root for two sizes of 0", given(0, 0, root1=mth([b""]), root2=mth([b""])), "Unverified"),
        refused("a proof from size 0", given(0, 5, proof=[EMPTY]), "Unverified"),
        refused("a proof to the same size", given(5, 5, proof=[EMPTY]), "Unverified"),
        refused("two roots for one size", given(5, 5, root2=EMPTY), "Unverified"),
        refused("a short hash", given(3, 4, proof=[EMPTY[:31], EMPTY])),
        refused("a negative size", given(0, 5, size1=-1)),
        refused("a size with a fraction", given(3, 7, size2=7.0)),
        refused("a root that is a text", given(3, 7, root1="root")),
        refused("a second root that is nothing", given(3, 7, root2=None)),
        refused("a proof that is a number", given(3, 7, proof=3)),
    ]


PATHS: list[tuple[list[Any], str]] = [
    ([0, 0, 256], "tile/0/000"),
    ([0, 0, 1], "tile/0/000.p/1"),
    ([0, 999, 255], "tile/0/999.p/255"),
    ([1, 1000, 256], "tile/1/x001/000"),
    ([0, 1234067, 256], "tile/0/x001/x234/067"),
    ([63, 70, 17], "tile/63/070.p/17"),
    (["entries", 273, 112], "tile/entries/273.p/112"),
    (["entries", 5_000_000, 256], "tile/entries/x005/x000/000"),
    ([10, 2**63 - 1, 256], "tile/10/x009/x223/x372/x036/x854/x775/807"),
]


def tile_path() -> list[Case]:
    return [
        *[accepted(path, given, path) for given, path in PATHS],
        refused("no hashes", [0, 0, 0]),
        refused("257 hashes", [0, 0, 257]),
        refused("a negative width", [0, 0, -1]),
        refused("level 64", [64, 0, 256]),
        refused("a negative level", [-1, 0, 256]),
        refused("a level in words", ["data", 0, 256]),
        refused("a level that is true", [True, 0, 256]),
        refused("no level", [None, 0, 256]),
        refused("a negative index", [0, -1, 256]),
        refused("an index of 2^63", [0, 2**63, 256]),
        refused("an index with a fraction", [0, 1.5, 256]),
        refused("a width that is a text", [0, 0, "256"]),
    ]


def parse_tile_path() -> list[Case]:
    bad = [
        "", "tile", "tile/0", "tile/0/", "/tile/0/000", "tile/0/000/", "tile/00/000", "tile/01/000", "tile/64/000",
        "tile/100/000", "tile/-1/000", "tile/data/000", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000/000",
        "tile/0/x000/x001/067", "tile/0/001/000", "tile/0/x001/x000", "tile/0/x01/000", "tile/0/000.p/0",
        "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/257", "tile/0/000.p/", "tile/0/000.p", "tile/0/000.q/1",
        "tile/0/000.p/1/", "tile/0/000\n", "tile/0/\u0660\u0660\u0660", "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000", "tile/entries/x000/000", "tile/entries/000.p/256",
    ]  # fmt: skip
    return [
        *[accepted(path, [path], given) for given, path in PATHS],
        *[refused(repr(path), [path]) for path in bad],
        refused("bytes", [b"tile/0/000"]),
        refused("nothing", [None]),
    ]


def entry_bundle() -> list[Case]:
    return [
        accepted("two entries", [[b"abc", b""]], b"\x00\x03abc\x00\x00"),
        accepted("256 entries", [[b"a"] * 256], b"\x00\x01a" * 256),
        refused("no entry", [[]]),
        refused("257 entries", [[b"a"] * 257]),
        refused("an entry that is a text", [["a"]]),
        refused("one entry, not in a list", [b"a"]),
        refused("nothing", [None]),
    ]


def parse_entry_bundle() -> list[Case]:
    return [
        accepted("two entries", [b"\x00\x03abc\x00\x00"], [b"abc", b""]),
        accepted("a long entry", [b"\x01\x02" + bytes(258)], [bytes(258)]),
        accepted("256 entries", [b"\x00\x01a" * 256], [b"a"] * 256),
        refused("nothing", [b""]),
        refused("half a length", [b"\x00"]),
        refused("half a length behind", [b"\x00\x01a\x00"]),
        refused("an entry that ends early", [b"\x00\x03ab"]),
        refused("257 entries", [b"\x00\x01a" * 257]),
        refused("a text", ["\x00\x01a"]),
    ]


def canonical_json() -> list[Case]:
    def deep(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return value

    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = {"a": value}
        return value

    return [
        accepted("the words", [[None, True, False]], b"[null,true,false]"),
        accepted("numbers", [[0, -1, 2**53 - 1, 1 - 2**53]], b"[0,-1,9007199254740991,-9007199254740991]"),
        accepted("nothing in them", [[[], {}, ""]], b'[[],{},""]'),
        accepted("a word alone", [None], b"null"),
        accepted("a text with what must be escaped", ['"\\\b\t\n\f\r\u0000\u001f\u007f/\u2028é€😀'],
                 b'"\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u001f' + '\u007f/\u2028é€😀"'.encode()),
        accepted("keys in the order of RFC 8785, section 3.2.3",
                 [{"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}],
                 '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'.encode()),
        accepted("keys of which one begins another", [{"ab": 1, "a": 2, "": 3, "B": 4}], b'{"":3,"B":4,"a":2,"ab":1}'),
        accepted("lists and objects in one another", [{"b": [{"d": 1, "c": [2, 3]}], "a": {}}],
                 b'{"a":{},"b":[{"c":[2,3],"d":1}]}'),
        accepted("a hundred lists", [deep(100)], b"[" * 100 + b"1" + b"]" * 100),
        accepted("a hundred objects", [nested(100)], b'{"a":' * 100 + b"1" + b"}" * 100),
        refused("a hundred and one lists", [deep(101)]),
        refused("a hundred and one objects", [nested(101)]),
        refused("2^53", [2**53]),
        refused("-2^53", [-(2**53)]),
        refused("a float", [1.0]),
        refused("a float within", [{"a": [1.5]}]),
        refused("a lone surrogate", ["\ud800"]),
        refused("a lone low surrogate within a text", ["a\udc00b"]),
        refused("a lone surrogate in a key", [{"\ud800": 1}]),
        refused("bytes", [b"a"]),
    ]  # fmt: skip
