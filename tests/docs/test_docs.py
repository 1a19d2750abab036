"""The pages are true: their examples run, they name everything there is and nothing that isn't, and links lead
somewhere. What the code knows is compared with what `reference.py` would write."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path

import msgspec
import pytest
from cli_reference import a_place_of_our_own, commands
from examples import CLI, EXAMPLES, HTTP, NEVER, RULES
from http_reference import operations
from pages import DOCS, ROOT, all_pages, anchor, blocks, headings, links, matches, regions, section, without_blocks
from reference import asked, region
from running import run_page
from writing import written_kinds

from events import leaf
from events.contracts import ENUMERATIONS, FACTS, Assignment, Identity, Occurred, Origin, Party, Quote, Wording
from verifier import Verifier, answers
from verifier.api.edge import STATUS
from verifier.app import open_desk
from verifier.commands import COMMANDS, VERBS
from verifier.errors import PROBLEMS
from verifier.metrics import Metrics
from verifier.policy import POLICIES
from verifier.settings import Settings

PAGES = all_pages()
WITH_REGIONS = [page for page in PAGES if list(regions(page.read_text()))]
REFERENCE = DOCS / "reference"


def name_of(page: Path) -> str:
    """Return a page's name, for the test's own."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_example_prints_what_stands_below_it(page: Path) -> None:
    with a_place_of_our_own():
        for result in run_page(page):
            assert matches(result.expected, result.actual), f"{result.where} printed:\n{result.actual}"


@pytest.mark.parametrize("page", WITH_REGIONS, ids=name_of)
def test_a_page_holds_what_the_code_says_now(page: Path) -> None:
    for name, content in regions(page.read_text()):
        assert content == region(name), f"{name} has changed: run `python tests/docs/reference.py --write`"


# --- nothing is missing ----------------------------------------------------------------------------


def test_every_fact_has_its_heading_and_an_example() -> None:
    assert set(FACTS) <= set(headings(REFERENCE / "events.md"))
    assert set(EXAMPLES) | set(NEVER) == set(FACTS)


def test_every_field_of_a_fact_is_explained() -> None:
    first_cells = re.findall(r"^\|(.+?)\|", section(REFERENCE / "events.md", "Fields"), re.MULTILINE)
    explained = set(re.findall(r"`(\w+)`", "".join(first_cells)))
    structs: tuple[type[msgspec.Struct], ...] = (*FACTS.values(), Assignment)
    assert {name for struct in structs for name in written_kinds(struct)} - {"words"} == explained


def test_every_enumeration_has_its_heading_and_all_its_words() -> None:
    page = REFERENCE / "enumerations.md"
    listed = {name: tuple(re.findall(r"^\| `(\w+)`", section(page, name), re.MULTILINE)) for name in ENUMERATIONS}
    assert listed == ENUMERATIONS


def test_every_verb_has_its_heading_and_its_body() -> None:
    assert set(VERBS) <= set(headings(REFERENCE / "verbs.md"))
    assert set(VERBS) <= set(headings(REFERENCE / "bodies.md"))


def test_every_question_has_its_heading() -> None:
    assert {name for name, _ in asked()} <= set(headings(REFERENCE / "questions.md"))


def test_every_route_has_its_heading_and_an_example() -> None:
    assert operations() <= set(headings(REFERENCE / "http.md"))
    assert set(HTTP) == operations()


def test_every_setting_has_its_heading() -> None:
    assert set(Settings.model_fields) <= set(headings(REFERENCE / "settings.md"))


def test_every_command_has_its_heading_and_an_example() -> None:
    assert {f"verifier {name}" for name in commands()} <= set(headings(REFERENCE / "cli.md"))
    assert set(CLI) | {"serve", "witness"} == set(commands())


def test_every_metric_has_its_line() -> None:
    told = set(re.findall(r"`(verifier_\w+)`", section(DOCS / "howto" / "watch-a-server.md", "Metrics")))
    assert metrics() == told


def test_every_policy_has_its_heading() -> None:
    assert set(POLICIES) <= set(headings(REFERENCE / "policies.md"))


def test_every_problem_has_its_heading_and_says_what_to_do() -> None:
    page = REFERENCE / "problems.md"
    for slug in PROBLEMS:
        assert len(section(page, slug).split()) > 5, slug


def test_every_rule_has_its_heading_and_a_verb_that_it_may_refuse() -> None:
    source = "".join(path.read_text() for path in (ROOT / "verifier").rglob("*.py"))
    rules = set(re.findall(r'rule="([a-z-]+)"', source)) - {"unknown"}
    assert rules <= set(headings(REFERENCE / "problems.md"))
    assert {rule for named in RULES.values() for rule in named} == rules - {"foreign-host", "foreign-origin"}
    assert set(RULES) == set(VERBS)


def test_the_log_page_names_every_verb_of_a_log() -> None:
    assert {"append", "read", "read_all", "subscribe", "head"} <= set(headings(REFERENCE / "log.md"))


def test_every_decision_names_what_was_rejected() -> None:
    for page in sorted((DOCS / "decisions").glob("0*.md")):
        assert "- *" in section(page, "Rejected"), page.name


# --- nothing is made up ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        place, _, fragment = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.is_file(), f"{link}: there is no such page"
        if fragment:
            assert fragment in map(anchor, headings(target)), f"{link}: there is no such heading"


def test_every_page_is_linked_from_another() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page)}
    assert [page for page in PAGES if page not in linked and page.name != "README.md"] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_names_nothing_that_does_not_exist(page: Path) -> None:
    spans = re.findall(r"`([^`\n]+)`", without_blocks(page.read_text()))
    types = {span for span in spans if re.fullmatch(r"(claim|statement|origins|evidence|source|story)\.[a-z_]+", span)}
    words = {span for span in spans if re.fullmatch(r"[a-z]+(_[a-z]+)+", span)}
    typed = {match[1] for span in spans if (match := re.match(r"verifier ([a-z][a-z-]*)", span))}

    assert types <= set(FACTS)
    assert words <= known_words()
    assert typed <= {name.split()[0] for name in commands()}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_shell_block_names_a_file_that_is_there(page: Path) -> None:
    for block in blocks(page):
        if block.language == "sh":
            for script in re.findall(r"python (?:-m )?(bench[./]\w+)", block.text):
                place = ROOT / script.replace(".", "/")
                assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), script


def known_words() -> set[str]:
    """Return every name with an underscore that a page may mention."""
    structs: tuple[type[msgspec.Struct], ...] = (*FACTS.values(), Occurred, Wording, Quote, Identity, Party, Origin)
    known = {field.name for struct in structs for field in msgspec.structs.fields(struct)}
    known |= {word for words in ENUMERATIONS.values() for word in words}
    known |= {name for command in COMMANDS.values() for name in command.__dataclass_fields__}
    known |= {name for model in vars(answers).values() if inspect.isclass(model) for name in written_kinds(model)}
    known |= set(dir(Verifier)) | set(dir(leaf)) | set(Settings.model_fields)
    known |= {argument for _, method in asked() for argument in inspect.signature(method).parameters}
    known |= metrics()
    known |= {"pg_dump", "pg_restore", "full_page_writes", "newsroom_views"}  # PostgreSQL's own, and a schema
    known |= {"newsroom_tiles", "newsroom_webhooks"}  # other schemas
    known |= {"if_match", "read_all"}  # what verbs take beside their command, and the log's own
    known |= {"no_evidence", "verdict_stale"}  # reasons for attention
    known |= {"identity_salt", "wording_salt"}  # fields of an export
    return known


def metrics() -> set[str]:
    """Return the name of every metric of ours."""

    async def families() -> set[str]:
        async with open_desk("memory:") as desk:
            return {
                f"{family.name}_total" if family.type == "counter" else family.name
                for family in await Metrics(desk).families()
            }

    return asyncio.run(families())


def test_a_client_only_problem_has_no_status() -> None:
    assert {slug for slug, problem in PROBLEMS.items() if problem not in STATUS} == {"unreachable"}
