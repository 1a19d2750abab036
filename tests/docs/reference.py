"""Writes the parts of the reference that the code knows: run `python tests/docs/reference.py --write`.

Each region of a page (see `pages.py`) is written by the function of its name below. `test_docs.py` checks
that the pages hold what this would write, so a field, default or route can't change unnoticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from cli_reference import cli
from examples import BEFORE, EXAMPLES, NEVER, RULES
from http_reference import answer_models, bodies, problem, routes
from pages import DOCS, with_regions
from writing import REQUIRED, code, default, doc, kind, names_ids, run_await, spaced, table, written_kinds

from events.contracts import FACTS, Fact, Identity, Occurred, Origin, Party, Quote, Wording
from verifier import Verifier
from verifier.api.edge import STATUS
from verifier.client.verbs import Verbs
from verifier.commands import VERBS
from verifier.errors import PROBLEMS
from verifier.policy import POLICIES
from verifier.settings import Settings

COMMON: Final = ("self", "key", "if_match")
"""What every verb takes; the page says it once."""


# --- events ----------------------------------------------------------------------------------------


def facts() -> str:
    """Write every fact: what it says, its fields, its words, its verb, and one as it was recorded."""
    verb_of = {type_name: verb for verb, type_name in VERBS.items()}
    return "".join(_fact(name, fact, verb_of.get(name)) for name, fact in FACTS.items())


def _fact(name: str, fact: type[Fact], verb: str | None) -> str:
    parts = [f"\n## `{name}`\n", doc(fact), _fields(fact)]
    parts.append(f"Words beside it: {', '.join(f'`{word}`' for word in fact.words) or 'none'}.")
    if name in NEVER:
        parts.append("No verb asks for it, and this version records none.")
        return "\n".join(spaced(parts))
    if verb is not None:
        parts.append(f"Recorded by [`{verb}`](verbs.md#{verb}), for example:")
    else:
        parts.append("No verb asks for it: the product records it itself. To see it:")
    _, recorded = results()[name]
    parts += [code("python", EXAMPLES[name]), "This stands in the log:", code("json", recorded)]
    return "\n".join(spaced(parts))


def values() -> str:
    """Write the structures inside facts and texts."""
    parts = []
    for struct in (Occurred, Wording, Quote, Identity, Party, Origin):
        parts += [f"\n### `{struct.__name__}`\n", doc(struct), _fields(struct)]
    return "\n".join(spaced(parts))


def _fields(struct: type[msgspec.Struct]) -> str:
    written = written_kinds(struct)
    fields = msgspec.structs.fields(struct)
    return table(
        ("field", "kind", "default"),
        [(f"`{field.name}`", kind(written[field.name]), default(_default_of(field))) for field in fields],
    )


def _default_of(field: msgspec.structs.FieldInfo) -> object:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else REQUIRED


# --- verbs -----------------------------------------------------------------------------------------


def verbs() -> str:
    """Write every verb: its arguments, the fact it records, the rules that may refuse it, and an example."""
    return "".join(_verb(verb, type_name) for verb, type_name in VERBS.items())


def _verb(verb: str, type_name: str) -> str:
    method = getattr(Verbs, verb)
    signature = inspect.signature(method)
    rows = [
        (f"`{name}`", kind(parameter.annotation), default(parameter.default))
        for name, parameter in signature.parameters.items()
        if name not in COMMON
    ]
    refused = ", ".join(f"[`{rule}`](problems.md#{rule})" for rule in RULES[verb]) or "no rule"
    printed, _ = results()[type_name]
    parts = [
        f"\n## `{verb}`\n",
        doc(method),
        f"Records [`{type_name}`](events.md#{type_name.replace('.', '')}) and returns `{signature.return_annotation}`.",
        table(("argument", "kind", "default"), rows),
        f"Refused by: {refused}.",
        code("python", EXAMPLES[type_name]),
        code("text", printed),
    ]
    return "\n".join(spaced(parts))


def questions() -> str:
    """Write every method of a verifier that is no verb."""
    parts = []
    for name, method in asked():
        signature = inspect.signature(method)
        rows = [
            (f"`{given.name}`", kind(given.annotation), default(given.default))
            for given in signature.parameters.values()
            if given.name not in ("self", "cls")
        ]
        returned = str(signature.return_annotation)
        parts += [
            f"\n## `{name}`\n",
            doc(method),
            table(("argument", "kind", "default"), rows),
            f"Returns `{returned}`." if returned != "None" else "Returns nothing.",
        ]
    return "\n".join(spaced(parts))


def asked() -> list[tuple[str, Any]]:
    """Return every public method of a verifier that is no verb, by name, in the order of its classes."""
    methods = {name: method for cls in (Verifier, *Verifier.__mro__) for name, method in vars(cls).items()}
    found = [(name, getattr(Verifier, name)) for name in methods if name[0] != "_" and name not in VERBS]
    return [(name, one.fget if isinstance(one, property) else one) for name, one in found]


def before() -> str:
    """Write what every example goes on from."""
    return code("python", BEFORE) + "\n"


_results: dict[str, tuple[str, str]] = {}


def results() -> dict[str, tuple[str, str]]:
    """Run every example once; return what each printed, and the fact that it recorded."""
    if not _results:
        _results.update({name: asyncio.run(_run(name, textwrap.dedent(source))) for name, source in EXAMPLES.items()})
    return _results


async def _run(name: str, source: str) -> tuple[str, str]:
    async with Verifier.open("memory:", actor="desk") as verifier:
        names: dict[str, Any] = {"verifier": verifier}
        await run_await(BEFORE, names)
        head = (await verifier.health()).head
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            await run_await(source, names)
        after = head if name in VERBS.values() else 0
        recorded = [event async for event in verifier.events(after=after) if event.type == name]
    event = recorded[-1]
    shown = {"fact": event.fact} | ({"wording": event.wording} if event.wording else {})
    return printed.getvalue(), names_ids(json.dumps(shown, indent=2, ensure_ascii=False))


# --- policies, problems, settings ------------------------------------------------------------------


def policies() -> str:
    """Write every policy with its table of rules."""
    parts = []
    for policy in POLICIES.values():
        rows = [(rule.id, f"`{rule.status}`", rule.says, f"`{rule.rests}`") for rule in policy.rules]
        parts += [
            f"\n## `{policy.id}`\n",
            policy.about,
            table(("rule", "status", "when, first match", "rests on"), rows),
            f"Digest: `{policy.digest}`",
        ]
    return "\n".join(spaced(parts))


def problems() -> str:
    """Write the list of problems."""
    rows = [
        (f"[`{slug}`](#{slug})", f"`{problem.__name__}`", str(STATUS.get(problem, "client only")), problem.title)
        for slug, problem in PROBLEMS.items()
    ]
    return table(("problem", "in Python", "HTTP status", "title"), rows) + "\n"


_DEFAULTS: Final = {
    "actor": "the login name",
    "keys": "`~/.local/state/verifier/keys`",
    "seals": "`~/.local/state/verifier/seals`",
}
"""The defaults that are looked up."""


def settings() -> str:
    """Write every setting."""
    parts = []
    for name, field in Settings.model_fields.items():
        value = _DEFAULTS[name] if field.default_factory else default(field.default)
        parts += [
            f"\n## `{name}`\n",
            str(field.description),
            f"Default: {value}. Environment: `VERIFIER_{name.upper()}`.",
        ]
    return "\n".join(spaced(parts))


REGIONS: Final[Mapping[str, Callable[[], str]]] = {
    "facts": facts,
    "values": values,
    "before": before,
    "verbs": verbs,
    "questions": questions,
    "policies": policies,
    "problems": problems,
    "settings": settings,
    "routes": routes,
    "problem": problem,
    "answers": answer_models,
    "bodies": bodies,
    "cli": cli,
}
"""Who writes which region."""


def region(name: str) -> str:
    """Return what a region holds as the code is now, with one empty line wherever there are several."""
    return re.sub(r"\n{3,}", "\n\n", REGIONS[name]())


def written_anew(text: str) -> str:
    """Return a page with its regions as the code has them now."""
    return with_regions(text, region)


def main() -> None:
    """Write every page anew."""
    for page in sorted(DOCS.rglob("*.md")):
        old = page.read_text()
        new = written_anew(old)
        if old != new:
            page.write_text(new)
            sys.stdout.write(f"{page.relative_to(DOCS)} was written anew\n")


if __name__ == "__main__":
    if "--write" not in sys.argv:
        sys.exit("give --write to write the reference anew")
    main()
