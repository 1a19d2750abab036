"""Golden vectors of keys, notes, checkpoints and proof files."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from tests.events.tlog.golden import EMPTY, Case, accepted, flipped, line_of_hash, refused
from tests.events.tlog.independent import (
    LEAVES,
    LOG,
    NEXT_LOG,
    OTHER_WITNESS,
    PQ_WITNESS,
    STRANGER,
    WITNESS,
    Signer,
    b64hex,
    checkpoint,
    head,
    mth,
    path,
)


def parse_vkey() -> list[Case]:
    name, key_id, key = LOG.vkey.split("+", 2)

    def read(signer: Signer) -> list[Any]:
        return [signer.name, signer.id, signer.kind, signer.public]

    go = "Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    return [
        *[accepted(f"type {signer.kind}", [signer.vkey], read(signer)) for signer in (LOG, WITNESS, PQ_WITNESS)],
        accepted("the key of the Go checksum database", [f"sum.golang.org+033de0ae+{go}"],
                 ["sum.golang.org", bytes.fromhex("033de0ae"), 1, bytes.fromhex(b64hex(go))[1:]]),
        accepted("a name that is not ASCII", [Signer("züri.example", 1, b"\x01" * 32).vkey],
                 read(Signer("züri.example", 1, b"\x01" * 32))),
        refused("another name", [f"x{LOG.vkey}"]),
        refused("another id", [f"{name}+00000000+{key}"]),
        refused("an id in capitals", [f"{name}+{key_id.upper()}+{key}"]),
        refused("a short id", [f"{name}+{key_id[:7]}+{key}"]),
        refused("an id that is not hexadecimal", [f"{name}+{key_id[:7]}g+{key}"]),
        refused("no id", [f"{name}+{key}"]),
        refused("no name", [f"+{key_id}+{key}"]),
        refused("a space in the name", [Signer("news example", 1, b"\x01" * 32).vkey]),
        refused("a no-break space in the name", [Signer("news\u00a0example", 1, b"\x01" * 32).vkey]),
        refused("a plus in the name", [Signer("news+example", 1, b"\x01" * 32).vkey]),
        refused("a newline in the name", [Signer("news\nexample", 1, b"\x01" * 32).vkey]),
        refused("an escape in the name", [Signer("news\x1bexample", 1, b"\x01" * 32).vkey]),
        refused("a newline behind", [LOG.vkey + "\n"]),
        refused("a key without padding", [Signer("a", 6, b"\x01" * 32).vkey.rstrip("=")]),
        refused("a short key", [of_type("news.example", 1, LOG.public[:31])]),
        refused("a long key", [of_type("news.example", 1, LOG.public + b"0")]),
        refused("a short key of ML-DSA-44", [of_type("news.example", 6, PQ_WITNESS.public[:-1])]),
        refused("a key that is empty", [f"{name}+{key_id}+"]),
        refused("a type without a key", [of_type("news.example", 1, b"")]),
        refused("an unknown type", [of_type("news.example", 2, LOG.public)]),
        refused("a private key", [LOG.secret]),
        refused("nothing", [""]),
        refused("not a text", [None]),
        refused("bytes that are not UTF-8", [b"\xff" + LOG.vkey.encode()]),
        refused("a lone surrogate", ["\ud800" + LOG.vkey]),
    ]  # fmt: skip


def of_type(name: str, kind: int, public: bytes) -> str:
    """A vkey whose id fits, whatever its type and length."""
    key_id = sha256(f"{name}\n".encode() + bytes([kind]) + public).digest()[:4]
    return f"{name}+{key_id.hex()}+{line_of_hash(bytes([kind]) + public)}"


def open_note() -> list[Case]:
    text = "A letter.\n\nIt has a blank line, and ends: è subito sera.\n"
    signed = f"{text}\n{LOG.line(text)}"
    theirs = STRANGER.line(text)
    bad = LOG.line_of(flipped(LOG.private.sign(text.encode()), 63))
    go_text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    go_line = (
        "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6Ryy"
        "BwJnAM=\n"
    )
    go_key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    ours = [LOG.vkey]
    cosigned = checkpoint(LOG, WITNESS, PQ_WITNESS).decode()
    base64 = LOG.line(text).split(" ")[2].rstrip("\n")
    return [
        accepted("a signed text", [signed, ours], [text, ours]),
        accepted("the example of Go's package", [f"{go_text}\n{go_line}", [go_key]], [go_text, [go_key]]),
        accepted("a signature by a stranger beside it", [signed + theirs, ours], [text, ours]),
        accepted("a stranger known too", [signed + theirs, [STRANGER.vkey, LOG.vkey]],
                 [text, [STRANGER.vkey, LOG.vkey]]),
        accepted("one of two known keys", [signed, [STRANGER.vkey, LOG.vkey]], [text, ours]),
        accepted("the same line twice", [signed + LOG.line(text), ours], [text, ours]),
        accepted("a hundred signatures", [signed + theirs * 99, ours], [text, ours]),
        accepted("a text of one empty line", ["\n\n" + LOG.line("\n"), ours], ["\n", ours]),
        accepted("the cosignatures of a checkpoint", [cosigned, [WITNESS.vkey, PQ_WITNESS.vkey]],
                 [cosigned.rpartition("\n\n")[0] + "\n", [WITNESS.vkey, PQ_WITNESS.vkey]]),
        refused("a known key whose signature does not hold", [signed + bad, ours], "Unverified"),
        refused("a good signature after one that does not hold", [f"{text}\n{bad}{LOG.line(text)}", ours],
                "Unverified"),
        refused("another text", [signed.replace("letter", "latter"), ours], "Unverified"),
        refused("only strangers", [f"{text}\n{theirs}", ours], "Unsatisfied"),
        refused("no known key", [signed, []], "Unsatisfied"),
        refused("a key of the same name", [f"{text}\n{NEXT_LOG.line(text)}", ours], "Unsatisfied"),
        refused("a witness's signature over what is not a checkpoint",
                [f"{text}\n{WITNESS.line(text, 5)}", [WITNESS.vkey]], "Unverified"),
        refused("a witness's signature of another length",
                [f"{head('a', 0, EMPTY)}\n{WITNESS.line_of(bytes(71))}", [WITNESS.vkey]], "Unverified"),
        refused("a witness's signature at a time beyond 2^63",
                [f"{head('a', 0, EMPTY)}\n{WITNESS.line(head('a', 0, EMPTY), 2**63)}", [WITNESS.vkey]], "Unverified"),
        refused("a signature of another length", [f"{text}\n{LOG.line_of(bytes(63))}", ours], "Unverified"),
        refused("a key given twice", [signed, [LOG.vkey, LOG.vkey]]),
        refused("no signature", [f"{text}\n", ours]),
        refused("no blank line", [text.replace("\n\n", "\n") + LOG.line(text), ours]),
        refused("no text", ["\n" + LOG.line(""), ours]),
        refused("no newline at the end", [signed[:-1], ours]),
        refused("a line behind", [signed + "garbage\n", ours]),
        refused("a blank line behind", [signed + "\n", ours]),
        refused("a hyphen for the dash", [signed.replace("\u2014", "-"), ours]),
        refused("two spaces", [signed.replace("\u2014 ", "\u2014  "), ours]),
        refused("a signature without a name", [signed + f"\u2014 {base64}\n", ours]),
        refused("a signature with an empty name", [signed + f"\u2014  {base64}\n", ours]),
        refused("a name with a plus", [signed + f"\u2014 a+b {base64}\n", ours]),
        refused("a name with a no-break space", [signed + f"\u2014 a\u00a0b {base64}\n", ours]),
        refused("three words on a line", [signed + f"\u2014 a {base64} c\n", ours]),
        refused("base64 without padding", [signed + f"\u2014 a {base64.rstrip('=')}\n", ours]),
        refused("base64 with unused bits", [signed + "\u2014 a AAAAAAB=\n", ours]),
        refused("base64 of the other alphabet", [signed + "\u2014 a AAAAA_-_\n", ours]),
        accepted("a stranger's signature of five bytes", [signed + "\u2014 a AAAAAAA=\n", ours], [text, ours]),
        refused("a signature of four bytes", [signed + "\u2014 a AAAAAA==\n", ours]),
        refused("a hundred and one signatures", [signed + theirs * 100, ours]),
        refused("a tab", [signed.replace("blank line", "blank\tline"), ours]),
        refused("a carriage return", [signed.replace("\n", "\r\n"), ours]),
        refused("not UTF-8", [b"\xff" + signed.encode(), ours]),
        refused("a vkey that is none", [signed, ["vkey"]]),
        refused("one vkey, not in a list", [signed, LOG.vkey]),
        refused("no vkeys", [signed, None]),
        refused("a number for a note", [5, ours]),
    ]  # fmt: skip


def open_checkpoint() -> list[Case]:
    root = mth(LEAVES)
    lines = head(LOG.name, 8, root)

    def signed(text: str, *signers: Signer) -> str:
        return text + "\n" + "".join(signer.line(text, 7) for signer in signers or (LOG,))

    def given(raw: Any, logs: Any = (LOG.vkey,), witnesses: Any = (), origin: Any = LOG.name) -> list[Any]:
        return [raw, origin, logs, witnesses]

    both = checkpoint(LOG, WITNESS, PQ_WITNESS)
    bad = WITNESS.line_of(bytes(72))
    return [
        accepted("signed by the log", given(checkpoint(LOG)), [8, root]),
        accepted("signed by the second key of a rotation", given(checkpoint(NEXT_LOG), [LOG.vkey, NEXT_LOG.vkey]),
                 [8, root]),
        accepted("cosigned by two witnesses", given(both, witnesses=[WITNESS.vkey, PQ_WITNESS.vkey]), [8, root]),
        accepted("cosigned by more than was asked", given(both, witnesses=[PQ_WITNESS.vkey]), [8, root]),
        accepted("an unknown witness whose signature does not hold", given(signed(lines) + bad), [8, root]),
        accepted("a log that signs with ML-DSA-44", given(checkpoint(PQ_WITNESS), [PQ_WITNESS.vkey]), [8, root]),
        accepted("an extension line", given(signed(lines + "extension\n")), [8, root]),
        accepted("an empty tree", given(signed(head(LOG.name, 0, EMPTY))), [0, EMPTY]),
        accepted("the largest size", given(signed(head(LOG.name, 2**63 - 1, root))), [2**63 - 1, root]),
        accepted("a log whose key has another name", given(checkpoint(LOG, origin="a b"), origin="a b"), [8, root]),
        refused("another origin", given(checkpoint(LOG), origin="other.example/log"), "Unverified"),
        refused("a witness that has not cosigned", given(checkpoint(LOG), witnesses=[WITNESS.vkey]), "Unsatisfied"),
        refused("one of two witnesses",
                given(checkpoint(LOG, WITNESS), witnesses=[WITNESS.vkey, OTHER_WITNESS.vkey]), "Unsatisfied"),
        refused("a witness whose signature does not hold", given(signed(lines) + bad, witnesses=[WITNESS.vkey]),
                "Unverified"),
        refused("only a witness", given(checkpoint(WITNESS), witnesses=[WITNESS.vkey]), "Unsatisfied"),
        refused("signed by a stranger", given(checkpoint(STRANGER)), "Unsatisfied"),
        refused("another size", given(checkpoint(LOG).replace(b"\n8\n", b"\n9\n")), "Unverified"),
        refused("size 0 with a root", given(signed(head(LOG.name, 0, root))), "Unverified"),
        refused("a witness with a log's key", given(both, witnesses=[STRANGER.vkey])),
        refused("a log as its own witness", given(both, [WITNESS.vkey], [WITNESS.vkey])),
        refused("no root", given(signed(f"{LOG.name}\n8\n"))),
        refused("a root of 31 bytes", given(signed(head(LOG.name, 8, root[:31])))),
        refused("a root of 33 bytes", given(signed(head(LOG.name, 8, root + b"0")))),
        refused("a leading zero", given(signed(lines.replace("\n8\n", "\n08\n")))),
        refused("a sign", given(signed(lines.replace("\n8\n", "\n+8\n")))),
        refused("a size in other digits", given(signed(lines.replace("\n8\n", "\n\u0668\n")))),
        refused("no size", given(signed(lines.replace("\n8\n", "\n\n")))),
        refused("a size of 2^63", given(signed(head(LOG.name, 2**63, root)))),
        refused("an empty origin", given(signed(head("", 8, root)), origin="")),
        refused("an empty extension line", given(signed(lines + "\nextension\n"))),
        refused("a root in another form", given(signed(lines.replace("=\n", "\n")))),
        refused("an origin that is not a text", given(checkpoint(LOG), origin=None)),
        refused("nothing", given(None)),
        refused("no log keys", given(checkpoint(LOG), None)),
        refused("witnesses that are a text", given(checkpoint(LOG), witnesses=WITNESS.vkey)),
    ]  # fmt: skip


def sign_checkpoint() -> list[Case]:
    root = mth(LEAVES)
    return [
        accepted("a head", [LOG.name, LOG.seed, 8, root], checkpoint(LOG)),
        accepted("an empty tree", [LOG.name, LOG.seed, 0, EMPTY], checkpoint(LOG, size=0)),
        accepted("the largest size", [LOG.name, LOG.seed, 2**63 - 1, root], checkpoint(LOG, size=2**63 - 1, root=root)),
        refused("size 0 with a root", [LOG.name, LOG.seed, 0, root], "Unverified"),
        refused("an origin with a space", ["news example", LOG.seed, 8, root]),
        refused("an origin with a newline", ["news\nexample", LOG.seed, 8, root]),
        refused("an origin with a plus", ["news+example", LOG.seed, 8, root]),
        refused("an empty origin", ["", LOG.seed, 8, root]),
        refused("an origin that is bytes", [LOG.name.encode(), LOG.seed, 8, root]),
        refused("an origin with a lone surrogate", ["\ud800", LOG.seed, 8, root]),
        refused("a short seed", [LOG.name, LOG.seed[:31], 8, root]),
        refused("a seed that is a text", [LOG.name, "seed", 8, root]),
        refused("a negative size", [LOG.name, LOG.seed, -1, root]),
        refused("a size of 2^63", [LOG.name, LOG.seed, 2**63, root]),
        refused("a short root", [LOG.name, LOG.seed, 8, root[:31]]),
        refused("no root", [LOG.name, LOG.seed, 8, None]),
    ]


def verify_tlog_proof() -> list[Case]:
    leaf = mth(LEAVES[2:3])
    hashes = [line_of_hash(hashed) for hashed in path(2, LEAVES)]
    note = checkpoint(LOG).decode()
    title = "c2sp.org/tlog-proof@v1"

    def file(*lines: str, after: str = note) -> str:
        return "\n".join([*lines, "", after])

    good = file(title, "index 2", *hashes)
    extra = file(title, "extra YWJj", "index 2", *hashes)
    read = {"index": 2, "proof": path(2, LEAVES), "checkpoint": note.encode(), "extra": None}

    def given(raw: Any, leaf_hash: Any = leaf, origin: Any = LOG.name, vkeys: Any = (LOG.vkey,)) -> list[Any]:
        return [raw, leaf_hash, origin, vkeys]

    single = checkpoint(LOG, size=1)
    return [
        accepted("a leaf", given(good), read),
        accepted("extra data", given(extra), {**read, "extra": b"abc"}),
        accepted("a tree of one leaf", given(file(title, "index 0", after=single.decode()), mth(LEAVES[:1])),
                 {**read, "index": 0, "proof": [], "checkpoint": single}),
        refused("another leaf", given(good, mth([b"other"])), "Unverified"),
        refused("another index", given(good.replace("index 2", "index 3")), "Unverified"),
        refused("another origin", given(good, origin="other.example/log"), "Unverified"),
        refused("another key", given(good, vkeys=[STRANGER.vkey]), "Unsatisfied"),
        refused("another size", given(good.replace("\n8\n", "\n7\n")), "Unverified"),
        refused("hashes in another order", given(file(title, "index 2", *hashes[::-1])), "Unverified"),
        refused("a hash too few", given(file(title, "index 2", *hashes[:-1])), "Unverified"),
        refused("a hash too many", given(file(title, "index 2", *hashes, hashes[0])), "Unverified"),
        refused("64 hashes", given(file(title, "index 2", *hashes[:1] * 64))),
        refused("an index beyond the size", given(file(title, "index 8", *hashes))),
        refused("a leading zero", given(file(title, "index 02", *hashes))),
        refused("a negative index", given(file(title, "index -2", *hashes))),
        refused("no index", given(file(title, *hashes))),
        refused("only a title", given(file(title))),
        refused("two indexes", given(file(title, "index 2", "index 2", *hashes))),
        refused("the extra data after the index", given(file(title, "index 2", "extra YWJj", *hashes))),
        refused("two lines of extra data", given(file(title, "extra YWJj", "extra YWJj", "index 2", *hashes))),
        refused("extra data that is empty", given(file(title, "extra ", "index 2", *hashes))),
        refused("extra data that is not base64", given(file(title, "extra YW", "index 2", *hashes))),
        refused("another title", given(file("c2sp.org/tlog-proof@v2", "index 2", *hashes))),
        refused("a line before the title", given("\n" + good)),
        refused("a hash of 31 bytes", given(file(title, "index 2", *hashes[:-1], line_of_hash(bytes(31))))),
        refused("a space behind a hash", given(file(title, "index 2", *hashes[:-1], hashes[-1] + " "))),
        refused("no checkpoint", given(file(title, "index 2", *hashes, after=""))),
        refused("no blank line", given("\n".join([title, "index 2", *hashes, note]))),
        refused("a note that is not a checkpoint",
                given(file(title, "index 2", *hashes, after="a\n\n" + LOG.line("a\n")))),
        refused("a line behind", given(good + "garbage\n")),
        refused("a short leaf hash", given(good, leaf[:31])),
        refused("not UTF-8", given(b"\xff" + good.encode())),
        refused("nothing", given(None)),
        refused("no keys", given(good, vkeys=None)),
    ]  # fmt: skip
