"""Golden vectors of policies and of a witness."""

from __future__ import annotations

from typing import Any

from tests.events.tlog.golden import Case, accepted, line_of_hash, refused
from tests.events.tlog.independent import (
    LEAVES,
    LOG,
    OTHER_WITNESS,
    PQ_WITNESS,
    STRANGER,
    THIRD_WITNESS,
    WITNESS,
    Signer,
    checkpoint,
    head,
    mth,
    proof,
)


def policy_satisfied() -> list[Case]:
    log, w4, w5, w8 = LOG.vkey, WITNESS.vkey, OTHER_WITNESS.vkey, THIRD_WITNESS.vkey
    three = f"log {log}\nwitness A {w4}\nwitness B {w5} https://b.example/\nwitness C {w8}\n"
    alone, all_of_them = checkpoint(LOG), checkpoint(LOG, WITNESS, OTHER_WITNESS, THIRD_WITNESS)
    two = checkpoint(LOG, WITNESS, THIRD_WITNESS)
    nested = three + "group inner any A B\ngroup outer all inner C\nquorum outer\n"
    names = f"log {log}\nwitness K {w4}\nwitness \u212a {w5}\n"

    def of(lines: str) -> list[Any]:
        return [lines, alone]

    return [
        accepted("no witness", [f"log {log}\nquorum none\n", alone], True),
        accepted("comments, blanks, tabs and a URL",
                 [f"# ours\n\n \t log\t{log}  https://a.example/ \n\t# a\nquorum none", alone], True),
        accepted("lines after the quorum", [f"quorum none\nwitness A {w4}\nlog {log}\n", alone], True),
        accepted("one witness", [f"{three}quorum A\n", two], True),
        accepted("one witness that has not cosigned", [f"{three}quorum B\n", two], False),
        accepted("any of three", [f"{three}group g any A B C\nquorum g\n", two], True),
        accepted("any of three, and none has", [f"{three}group g any A B C\nquorum g\n", alone], False),
        accepted("all of three", [f"{three}group g all A B C\nquorum g\n", all_of_them], True),
        accepted("all of three, and one has not", [f"{three}group g all A B C\nquorum g\n", two], False),
        accepted("two of three", [f"{three}group g 2 A B C\nquorum g\n", two], True),
        accepted("two of three, and one has", [f"{three}group g 2 A B C\nquorum g\n", checkpoint(LOG, WITNESS)], False),
        accepted("three of three, and two have", [f"{three}group g 3 A B C\nquorum g\n", two], False),
        accepted("a group of groups", [nested, two], True),
        accepted("a group of groups, and one has", [nested, checkpoint(LOG, THIRD_WITNESS)], False),
        accepted("a witness that signs with ML-DSA-44",
                 [f"log {log}\nwitness A {PQ_WITNESS.vkey}\nquorum A\n", checkpoint(LOG, PQ_WITNESS)], True),
        accepted("names compared as bytes", [f"{names}quorum K\n", checkpoint(LOG, WITNESS)], True),
        accepted("a name that looks alike", [f"{names}quorum \u212a\n", checkpoint(LOG, WITNESS)], False),
        accepted("one of two logs", [f"log {STRANGER.vkey}\nlog {log}\nquorum none\n", alone], True),
        accepted("no log", ["quorum none\n", alone], False),
        accepted("another log", [f"log {STRANGER.vkey}\nquorum none\n", alone], False),
        accepted("a log under another name", [f"log {log}\nquorum none\n", checkpoint(LOG, origin="other.example")],
                 False),
        accepted("a witness, and not the log", [f"{three}quorum A\n", checkpoint(WITNESS)], False),
        accepted("a name that is not UTF-8",
                 [f"log {log}\nwitness ".encode() + b"\xff " + w4.encode() + b"\nquorum \xff\n", two], True),
        accepted("names like keywords", [f"log {log}\nwitness all {w4}\ngroup 2 any all\nquorum 2\n", two], True),
        refused("a witness whose signature does not hold",
                [f"{three}quorum none\n", alone + WITNESS.line_of(bytes(72)).encode()], "Unverified"),
        refused("another size", [f"{three}quorum none\n", alone.replace(b"\n8\n", b"\n9\n")], "Unverified"),
        refused("no quorum", of(three)),
        refused("two quorums", of(f"{three}quorum A\nquorum B\n")),
        refused("a quorum below", of(f"quorum A\n{three}")),
        refused("a quorum of an unknown name", of(f"{three}quorum D\n")),
        refused("a quorum of two names", of(f"{three}quorum A B\n")),
        refused("none as a member", of(f"{three}group g any A none\nquorum g\n")),
        refused("none as a witness", of(f"log {log}\nwitness none {w4}\nquorum none\n")),
        refused("none as a group", of(f"{three}group none any A\nquorum none\n")),
        refused("a group without members", of(f"{three}group g any\nquorum none\n")),
        refused("a group of itself", of(f"{three}group g any g\nquorum none\n")),
        refused("a group of a name below", of(f"log {log}\ngroup g any A\nwitness A {w4}\nquorum none\n")),
        refused("a member twice in a group", of(f"{three}group g 2 A A\nquorum g\n")),
        refused("a member of two groups", of(f"{three}group g any A\ngroup h any A\nquorum h\n")),
        refused("0 of a group", of(f"{three}group g 0 A B\nquorum g\n")),
        refused("more than the group has", of(f"{three}group g 3 A B\nquorum g\n")),
        refused("a number with a leading zero", of(f"{three}group g 02 A B C\nquorum g\n")),
        refused("a number with a sign", of(f"{three}group g +2 A B C\nquorum g\n")),
        refused("a number in words", of(f"{three}group g most A B C\nquorum g\n")),
        refused("a name twice", of(f"log {log}\nwitness A {w4}\nwitness A {w5}\nquorum none\n")),
        refused("a group named as a witness", of(f"{three}group A any B\nquorum none\n")),
        refused("a witness's key twice", of(f"log {log}\nwitness A {w4}\nwitness B {w4}\nquorum none\n")),
        refused("a witness's public key under two names",
                of(f"witness A {w4}\nwitness B {Signer('b.example', 4, WITNESS.seed).vkey}\nquorum none\n")),
        refused("a log twice", of(f"log {log}\nlog {log} https://a.example/\nquorum none\n")),
        refused("a log's public key under two names",
                of(f"log {log}\nlog {Signer('b.example', 1, LOG.seed).vkey}\nquorum none\n")),
        refused("a witness with a log's type of key", of(f"witness A {STRANGER.vkey}\nquorum none\n")),
        refused("a log without a key", of("log\nquorum none\n")),
        refused("a log with two URLs", of(f"log {log} a b\nquorum none\n")),
        refused("a witness with two URLs", of(f"witness A {w4} a b\nquorum none\n")),
        refused("a witness without a key", of("witness A\nquorum none\n")),
        refused("a key that is none", of("log vkey\nquorum none\n")),
        refused("a key that is not UTF-8", of(b"log \xff+00000000+AAAA\nquorum none\n")),
        refused("an unknown word", of(f"{three}relay a\nquorum none\n")),
        refused("a keyword in capitals", of(f"Log {log}\nquorum none\n")),
        refused("a carriage return", of(f"log {log}\r\nquorum none\r\n")),
        refused("a form feed", of(f"log {log}\n\fquorum none\n")),
        refused("a delete character", of(f"log {log} \x7f\nquorum none\n")),
        refused("a comment behind", of(f"log {log} https://a.example/ # ours\nquorum none\n")),
        refused("nothing", of("")),
        refused("not a text", of(None)),
        refused("what is not a checkpoint", [f"{three}quorum none\n", "checkpoint"]),
        refused("no checkpoint", [f"{three}quorum none\n", None]),
    ]  # fmt: skip


def witness() -> list[Case]:
    """Given: what was last cosigned, and a request. Gives: the answer, and what was last cosigned afterwards."""
    roots = [mth(LEAVES[:size]) for size in range(9)]
    plain, sizes = "text/plain; charset=utf-8", "text/x.tlog.size"

    def body(old: Any, new: int = 8, hashes: list[bytes] | None = None, note: bytes | None = None) -> str:
        lines = proof(old, LEAVES[:new]) if hashes is None else hashes
        written = [f"old {old}", *map(line_of_hash, lines), ""]
        return "\n".join(written) + "\n" + (checkpoint(LOG, size=new) if note is None else note).decode()

    def cosigned(name: str, last: int, new: int, raw: str | None = None) -> Case:
        line = WITNESS.line(head(LOG.name, new, roots[new]), 1_700_000_000)
        return accepted(name, [[last, roots[last]], raw or body(last, new)], [200, plain, line, [new, roots[new]]])

    def turned_down(
        name: str, status: int, raw: Any, last: int = 3, kind: str = plain, text: str | None = None
    ) -> Case:
        return accepted(name, [[last, roots[last]], raw], [status, kind, text, [last, roots[last]]])

    forked = [*LEAVES[:4], b"another", *LEAVES[5:]]
    fork = checkpoint(LOG, root=mth(forked))
    good = body(3)
    return [
        *[
            cosigned(f"from {last} to {new}", last, new)
            for last, new in ((0, 0), (0, 5), (3, 8), (4, 8), (7, 8), (8, 8))
        ],
        cosigned("a signature by a stranger beside it", 3, 8, body(3, note=checkpoint(LOG, STRANGER))),
        turned_down("the size of another time", 409, body(2), kind=sizes, text="3\n"),
        turned_down("from nothing, though something was cosigned", 409, body(0), kind=sizes, text="3\n"),
        turned_down("from a size, though nothing was cosigned", 409, body(3), last=0, kind=sizes, text="0\n"),
        turned_down("another root for the same size", 409, body(8, note=fork, hashes=[]), last=8),
        turned_down("a fork", 422, body(5, note=fork, hashes=proof(5, forked)), last=5),
        turned_down("another order of hashes", 422, body(3, hashes=proof(3, LEAVES)[::-1])),
        turned_down("a proof for the same size", 422, body(8, hashes=[roots[1]]), last=8),
        turned_down("a proof from nothing", 422, body(0, hashes=[roots[1]]), last=0),
        turned_down("size 0 with a root", 422, body(0, note=checkpoint(LOG, size=0, root=roots[1]), hashes=[]), last=0),
        turned_down("an old size beyond the new", 400, body(9, hashes=[])),
        turned_down("an old size beyond the new, by a stranger", 403, body(9, hashes=[], note=checkpoint(STRANGER))),
        turned_down("an unknown log", 404, body(3, note=checkpoint(STRANGER, origin=STRANGER.name))),
        turned_down("another key", 403, body(3, note=checkpoint(STRANGER))),
        turned_down("a witness's signature only", 403, body(3, note=checkpoint(WITNESS))),
        turned_down("a signature that does not hold", 403, body(3, note=checkpoint(LOG).replace(b"\n8\n", b"\n7\n"))),
        turned_down("a second signature that does not hold", 403, good + LOG.line_of(bytes(64))),
        turned_down("a leading zero", 400, good.replace("old 3", "old 03")),
        turned_down("a negative old size", 400, good.replace("old 3", "old -3")),
        turned_down("no old size", 400, good.replace("old 3\n", "")),
        turned_down("an old size without its word", 400, good.replace("old 3", "3")),
        turned_down("64 hashes", 400, body(3, hashes=[roots[1]] * 64)),
        turned_down("a hash of 31 bytes", 400, body(3, hashes=[bytes(31)])),
        turned_down("a hash that is not base64", 400, good.replace("=\n", "\n", 1)),
        turned_down("no blank line", 400, good.replace("\n\n", "\n")),
        turned_down("no signature", 400, good.rpartition("\n\n")[0] + "\n"),
        turned_down("a line behind", 400, good + "garbage\n"),
        turned_down("what is not a checkpoint", 400, body(3, note=("a\n\n" + LOG.line("a\n")).encode())),
        turned_down("not UTF-8", 400, b"\xff" + good.encode()),
        turned_down("nothing", 400, b""),
        turned_down("not bytes", 400, None),
    ]  # fmt: skip
