"""One example for every fact: the call that records it. The reference of events and of verbs show them.

Each is run by itself in a new log, after `BEFORE`. What it prints stands below it.
"""

from __future__ import annotations

from typing import Final

BEFORE: Final = """\
plan = await verifier.assert_claim(
    "The United States plans to withdraw its forces from Iraq",
    source="William Seely", origin="the letter", attribution="documentary", via=["AFP"],
    occurred="2020-01-06", story="iraq-letter",
)
letter = await verifier.assert_claim(
    "The letter is authentic",
    source="AFP", origin="a copy seen by AFP", attribution="documentary",
    occurred="2020-01-06", story="iraq-letter",
)
"""

EXAMPLES: Final[dict[str, str]] = {
    "claim.registered": """\
        vote = await verifier.register(
            "Parliament voted for the departure of foreign forces",
            story="iraq-letter", kind="event", place="Baghdad", valid_from="2020-01-05", valid_to="2020-01-05",
        )
        print(vote.effect)
        """,
    "claim.asserted": """\
        plan = await verifier.assert_claim(plan, source="Reuters", origin="the letter", occurred="2020-01-06")
        print(plan.effect)
        """,
    "claim.corroborated": """\
        letter = await verifier.corroborate(
            letter, source="a senior Pentagon official", attribution="anonymous", via=["Newsweek"],
            occurred="2020-01-06",
        )
        print(letter.effect, "->", letter.label)
        """,
    "claim.denied": """\
        plan = await verifier.deny(
            plan, source="Mark Esper", standing="authoritative", occurred="2020-01-06",
            quote="The United States has no plans to pull out militarily from Iraq",
        )
        print(plan.effect, "->", plan.label)
        """,
    "claim.noted": """\
        plan = await verifier.note(plan, source="Iraqi joint operations command", kind="asked",
                                   note="by telephone, for a copy of the letter")
        print(plan.effect)
        """,
    "statement.retracted": """\
        plan = await verifier.retract(plan, plan.statement, by="William Seely", occurred="2020-01-07",
                                      reason="the letter was a draft")
        print(plan.effect, "->", plan.label)
        """,
    "statement.corrected": """\
        plan = await verifier.correct(plan, plan.statement, extent="part",
                                      reason="the letter speaks of repositioning only")
        print(plan.effect)
        """,
    "statement.withdrawn": """\
        plan = await verifier.withdraw_statement(plan, plan.statement, reason="entered on the wrong claim")
        print(plan.effect, "->", plan.label)
        """,
    "statement.attributed": """\
        plan = await verifier.deny(plan, source="a voice at the briefing", attribution="unattributed")
        plan = await verifier.attribute(plan, plan.statement, source="Mark Esper")
        print(plan.effect, "->", plan.label)
        """,
    "origins.merged": """\
        plan = await verifier.assert_claim(plan, source="Reuters", origin="a military document")
        plan = await verifier.merge_origins(plan, kept="the letter", merged="a military document")
        print(plan.effect)
        """,
    "origins.split": """\
        plan = await verifier.assert_claim(plan, source="Reuters", origin="a military document")
        plan = await verifier.merge_origins(plan, kept="the letter", merged="a military document")
        plan = await verifier.split_origins(plan, plan.statement, reason="two documents after all")
        print(plan.effect, "->", plan.label)
        """,
    "evidence.attached": """\
        letter = await verifier.attach(letter, b"In letter, US military tells Iraq it will withdraw",
                                       address="https://example.org/letter", shows="the report on the letter")
        print(letter.effect)
        """,
    "claim.adjudicated": """\
        letter = await verifier.adjudicate(letter, "true", reason="the sender's office gave us the original")
        print(letter.effect)
        print(letter.verdict, "beside", letter.label)
        """,
    "adjudication.withdrawn": """\
        letter = await verifier.adjudicate(letter, "true", reason="the sender's office gave us the original")
        letter = await verifier.withdraw_verdict(letter, reason="it was a copy")
        print(letter.effect)
        """,
    "claim.linked": """\
        letter = await verifier.link(letter, plan, kind="evidence_for", note="authentic is not the same as so")
        print(letter.effect)
        """,
    "claim.unlinked": """\
        letter = await verifier.link(letter, plan, kind="evidence_for")
        letter = await verifier.unlink(letter, letter.statement)
        print(letter.effect)
        """,
    "claim.reworded": """\
        plan = await verifier.reword(plan, "The United States plans to withdraw its military from Iraq",
                                     reason="as the letter has it")
        print(plan.effect)
        """,
    "claim.split": """\
        leave = await verifier.register("US forces will leave Iraq", story="iraq-letter")
        move = await verifier.register("US forces will move within Iraq", story="iraq-letter")
        plan = await verifier.split(plan, [leave, move], statements={plan.statement: [leave]})
        print(plan.effect, "->", plan.label)
        """,
    "claim.merged": """\
        same = await verifier.assert_claim("US troops are to leave Iraq", source="Reuters", story="iraq-letter")
        same = await verifier.merge(same, plan)
        print(same.effect, "->", same.label)
        """,
    "claim.withdrawn": """\
        plan = await verifier.withdraw(plan, reason="registered twice by mistake")
        print(plan.effect, "->", plan.label)
        """,
    "claim.published": """\
        plan = await verifier.publish_claim(plan, address="https://example.org/story", day="2020-01-06")
        print(plan.effect)
        """,
    "claim.unpublished": """\
        plan = await verifier.publish_claim(plan, address="https://example.org/story", day="2020-01-06")
        plan = await verifier.unpublish_claim(plan, plan.statement, reason="corrected on 7 January")
        print(plan.effect)
        """,
    "source.registered": """\
        esper = await verifier.register_source("Mark Esper", kind="person", role="Secretary of Defence",
                                               aliases=["Esper"])
        print(esper.effect)
        """,
    "source.updated": """\
        await verifier.register_source("Mark Esper", kind="person")
        done = await verifier.update_source("Secretary Esper", same_as="Mark Esper")
        print(done.effect)
        """,
    "story.opened": """\
        story = await verifier.open_story("baghdad-airstrike", note="3 January 2020 and after")
        print(story.effect)
        """,
    "policy.adopted": """\
        done = await verifier.adopt_policy("strict", reason="two wires now copy each other")
        plan = await verifier.claim(plan)
        print(done.effect, "->", plan.basis.policy)
        """,
    "text.erased": """\
        letter = await verifier.note(letter, source="the archive", note="a private address")
        letter = await verifier.erase(letter, letter.statement, slot="wording", basis="data_protection")
        print(letter.effect)
        """,
    "statuses.attested": """\
        attested = await verifier.attest()
        print("attested how all claims stood at", attested.at, "under", attested.policy)
        """,
    "log.opened": """\
        async for event in verifier.events():
            print(event.position, event.type)
            break
        """,
}
"""Every fact that this version records, with the call that records it."""

NEVER: Final = ("identity.read",)
"""The facts that have a place in the contract and that this version records nowhere."""

RULES: Final[dict[str, tuple[str, ...]]] = {
    "register": ("document-not-named", "not-checkable"),
    "assert_claim": ("claim-ended", "not-checkable", "document-not-named", "quote-not-found"),
    "corroborate": ("claim-ended", "not-checkable", "document-not-named", "quote-not-found"),
    "deny": ("claim-ended", "not-checkable", "document-not-named", "quote-not-found"),
    "note": ("claim-ended", "document-not-named", "quote-not-found"),
    "retract": ("claim-ended", "not-a-statement", "acted-on", "not-theirs-to-retract", "quote-not-found"),
    "correct": ("claim-ended", "not-a-statement", "acted-on", "document-not-named", "nothing-changed",
                "quote-not-found"),
    "withdraw_statement": ("claim-ended", "not-a-statement", "acted-on"),
    "attribute": ("claim-ended", "not-a-statement", "acted-on", "not-unattributed", "document-not-named"),
    "merge_origins": ("claim-ended", "nothing-changed", "too-many-claims"),
    "split_origins": ("claim-ended", "acted-on", "too-many-claims"),
    "attach": ("claim-ended",),
    "adjudicate": ("claim-ended",),
    "withdraw_verdict": ("claim-ended", "acted-on"),
    "link": ("claim-ended", "nothing-changed"),
    "unlink": ("claim-ended", "acted-on"),
    "reword": ("claim-ended", "nothing-changed", "text-erased"),
    "split": ("claim-ended", "statements-not-assigned", "too-many-statements"),
    "merge": ("claim-ended", "too-many-statements"),
    "withdraw": ("claim-ended",),
    "publish_claim": (),
    "unpublish_claim": ("acted-on",),
    "register_source": ("source-exists",),
    "update_source": ("source-exists",),
    "open_story": ("story-exists",),
    "adopt_policy": ("nothing-changed",),
    "erase": ("acted-on",),
}  # fmt: skip
"""By which rules each verb may be refused."""

HTTP: Final[dict[str, str]] = {
    "GET /api/v1/claims": "GET /api/v1/claims?status=denied&limit=1",
    "GET /api/v1/claims/{id}": "GET /api/v1/claims/{plan}",
    "GET /api/v1/claims/{id}/events": "GET /api/v1/claims/{plan}/events?limit=1",
    "GET /api/v1/claims/{id}/statements": "GET /api/v1/claims/{plan}/statements?limit=1",
    "GET /api/v1/claims/{id}/history": "GET /api/v1/claims/{plan}/history?limit=1",
    "GET /api/v1/claims/{id}/attestation": "GET /api/v1/claims/{plan}/attestation",
    "GET /api/v1/claims/{id}/receipt": "GET /api/v1/claims/{plan}/receipt",
    "GET /api/v1/sources": "GET /api/v1/sources?limit=1",
    "GET /api/v1/sources/{id}": "GET /api/v1/sources/Mark%20Esper",
    "GET /api/v1/sources/{id}/events": "GET /api/v1/sources/Mark%20Esper/events",
    "GET /api/v1/stories": "GET /api/v1/stories?limit=1",
    "GET /api/v1/stories/{id}": "GET /api/v1/stories/iraq-letter",
    "GET /api/v1/stories/{id}/events": "GET /api/v1/stories/iraq-letter/events",
    "GET /api/v1/events": "GET /api/v1/events?limit=1",
    "GET /api/v1/events/{position}/proof": "GET /api/v1/events/3/proof",
    "GET /api/v1/events/{position}/receipt": "GET /api/v1/events/3/receipt",
    "GET /api/v1/checkpoint": "GET /api/v1/checkpoint",
    "GET /checkpoint": "GET /checkpoint",
    "GET /tile/{path}": "GET /tile/0/000.p/3",
    "GET /log/vkey": "GET /log/vkey",
    "GET /api/v1/changes": "GET /api/v1/changes?limit=1",
    "GET /api/v1/policies": "GET /api/v1/policies",
    "GET /api/v1/webhooks": "GET /api/v1/webhooks",
    "GET /api/v1/webhooks/{id}/dead": "GET /api/v1/webhooks/{hook}/dead",
    "GET /api/v1/health": "GET /api/v1/health",
    "GET /healthz": "GET /healthz",
    "GET /readyz": "GET /readyz",
    "GET /metrics": "GET /metrics",
    "GET /api/v1/ids/{prefix}/{tail}": "GET /api/v1/ids/clm/{plan[20:]}",
    "GET /api/v1/feed": "GET /api/v1/feed?after=0&claim={plan}",
    "GET /api/v1/feed.json": "GET /api/v1/feed.json?recalls=true",
    "GET /api/v1/feed.atom": "GET /api/v1/feed.atom?claim={plan}&limit=1",
    "GET /api/v1/evidence/{sha256}": "GET /api/v1/evidence/{sha256}",
    "PUT /api/v1/evidence/{sha256}": """\
        PUT /api/v1/evidence/{sha256}
        Content-Type: text/plain

        a letter""",
    "POST /api/v1/claims": """\
        POST /api/v1/claims
        Content-Type: application/json
        Idempotency-Key: claim-1

        {"text": "Parliament voted for the departure of foreign forces", "story": "iraq-letter",
         "statement": {"type": "claim.asserted", "source": "Reuters", "occurred": "2020-01-05"}}""",
    "POST /api/v1/claims/{id}/events": """\
        POST /api/v1/claims/{plan}/events
        Content-Type: application/json
        Idempotency-Key: denial-1

        {"type": "claim.denied", "source": "Mark Esper", "occurred": "2020-01-06"}""",
    "POST /api/v1/claims/{id}/what-if": """\
        POST /api/v1/claims/{plan}/what-if
        Content-Type: application/json

        {"type": "statement.retracted", "statement": "{said}", "by": "William Seely",
         "occurred": "2020-01-07"}""",
    "POST /api/v1/sources": """\
        POST /api/v1/sources
        Content-Type: application/json

        {"name": "Mark Esper", "kind": "person"}""",
    "POST /api/v1/sources/{id}/events": """\
        POST /api/v1/sources/Mark%20Esper/events
        Content-Type: application/json

        {"type": "source.updated", "source": "Mark Esper", "role": "Secretary of Defence"}""",
    "POST /api/v1/stories": """\
        POST /api/v1/stories
        Content-Type: application/json

        {"title": "baghdad-airstrike"}""",
    "POST /api/v1/stories/{id}/events": """\
        POST /api/v1/stories/iraq-letter/events
        Content-Type: application/json

        {"type": "origins.merged", "kept": "the letter", "merged": "a copy seen by AFP"}""",
    "POST /api/v1/policies": """\
        POST /api/v1/policies
        Content-Type: application/json

        {"policy": "strict"}""",
    "POST /api/v1/rebuild": """\
        POST /api/v1/rebuild
        Content-Type: application/json

        {}""",
    "POST /api/v1/batch": """\
        POST /api/v1/batch
        Content-Type: application/jsonl

        {"key": "a-1", "claim": "{plan}", "type": "claim.noted", "source": "AFP", "kind": "query"}
        {"key": "a-2", "type": "story.opened", "title": "iraq-letter"}""",
    "POST /api/v1/attestations": """\
        POST /api/v1/attestations
        Content-Type: application/json

        {}""",
    "POST /api/v1/webhooks": """\
        POST /api/v1/webhooks
        Content-Type: application/json
        Idempotency-Key: hook-1

        {"url": "https://cms.example.org/hooks/claims", "status": "denied"}""",
    "POST /api/v1/webhooks/{id}/rotate": """\
        POST /api/v1/webhooks/{hook}/rotate
        Content-Type: application/json
        Idempotency-Key: hook-2

        {"overlap": 3600}""",
    "POST /api/v1/webhooks/{id}/replay": """\
        POST /api/v1/webhooks/{hook}/replay
        Content-Type: application/json

        {}""",
    "POST /api/v1/webhooks/{id}/remove": """\
        POST /api/v1/webhooks/{hook}/remove
        Content-Type: application/json

        {}""",
}
"""One example for every route. They run in this order, those that write before those that read, and what removes or
rebuilds at the end."""

REFUSED: Final = """\
    POST /api/v1/claims/{plan}/events
    Content-Type: application/json

    {"type": "claim.denied", "source": "the Pentagon", "attribution": "documentary"}"""
"""A request that a rule refuses."""

PARAMETERS: Final = {
    "after": "The last position that you have seen; 0: from the beginning. Of the feed, left out: from now.",
    "as_of": "A position or a time: how it stood for us then.",
    "at_least": "A position that the views must have reached.",
    "attention": "Only those that somebody should look at for this reason.",
    "claim": "Only this claim.",
    "cursor": "Where the page before ended: its `next`.",
    "language": "Only those in this language.",
    "limit": "How many items, 1 to 1,000; 100 if left out.",
    "policy": "By the rules of this policy.",
    "recalls": "Only recalls: what a careful publisher printed no longer stands.",
    "said_by": "A time: how it stood by what had been said, as we know it today.",
    "source": "Only those that this source spoke about.",
    "status": "Only this status.",
    "story": "Only those of this story.",
    "text": "Only those whose text holds these words.",
}
"""What the parameters of questions mean."""

LINES: Final = """\
{"type": "claim.registered", "text": "Task Force Iraq will move forces", "story": "iraq-letter"}
{"type": "claim.asserted", "claim": "line:1", "source": "AFP", "origin": "the letter", "occurred": "2020-01-06"}
"""
"""The file `facts.jsonl` of the session."""

CLI: Final[dict[str, str]] = {
    "assert-claim": 'verifier assert-claim "The United States plans to withdraw its forces from Iraq" '
    '--source "William Seely" --origin "the letter" --attribution documentary --via AFP '
    "--occurred 2020-01-06 --story iraq-letter --key plan",
    "register": 'verifier register "The letter is authentic" --kind authenticity --story iraq-letter --key letter',
    "corroborate": 'verifier corroborate {letter} --source AFP --origin "a copy seen by AFP" '
    "--attribution documentary --occurred 2020-01-06 --key afp",
    "attach": "verifier attach {letter} letter.txt --shows 'the report on the letter' --key copy",
    "note": 'verifier note {plan} --source "Iraqi joint operations command" --kind asked --occurred 2020-01-06 '
    "--key asked",
    "deny": 'verifier deny {plan} --source "Mark Esper" --occurred 2020-01-06 --key esper',
    "correct": "verifier correct {plan} {esper 0} --standing authoritative --reason 'his own forces' --key right",
    "show": "verifier show {plan}",
    "explain": "verifier explain {plan}",
    "history": "verifier history {plan}",
    "claims": "verifier claims --story iraq-letter",
    "undo": "verifier undo {plan} {asked 0} --reason 'asked about another letter' --key mistake",
    "attribute": "verifier deny {plan} --source 'a voice at the briefing' --attribution unattributed "
    "--occurred 2020-01-06 --key voice\nverifier attribute {plan} {voice 0} --source 'Mark Esper' --key found",
    "retract": "verifier retract {plan} {plan 1} --by 'William Seely' --occurred 2020-01-07 --key back",
    "merge-origins": "verifier corroborate {letter} --source Reuters --origin 'a scan' --occurred 2020-01-06 "
    "--key scan\n"
    "verifier merge-origins {letter} --kept 'a copy seen by AFP' --merged 'a scan' --key one",
    "split-origins": "verifier split-origins {letter} {one 0} --key two",
    "adjudicate": "verifier adjudicate {letter} true --reason 'the sender gave us the original' --key verdict",
    "withdraw-verdict": "verifier withdraw-verdict {letter} --reason 'it was a copy' --key no-verdict",
    "link": "verifier link {letter} {plan} --kind evidence_for --key link",
    "unlink": "verifier unlink {letter} {link 0} --key unlink",
    "reword": "verifier reword {letter} 'The letter of William Seely is authentic' --key words",
    "publish-claim": "verifier publish-claim {letter} --address https://example.org/story --day 2020-01-06 --key used",
    "unpublish-claim": "verifier unpublish-claim {letter} {used 0} --key unused",
    "erase": "verifier erase {plan} {esper 0} --slot wording --basis court_order --key erased",
    "register-source": "verifier register-source Pentagon --kind organisation --aliases 'Department of Defense' "
    "--key dod",
    "update-source": "verifier update-source Pentagon --role 'the Department of Defense' --key role",
    "open-story": "verifier open-story baghdad-airstrike --key strike",
    "adopt-policy": "verifier adopt-policy strict --reason 'two wires copy each other' --key strict",
    "sources": "verifier sources",
    "stories": "verifier stories",
    "events": "verifier events {letter} --after 12",
    "feed": "verifier feed --after 5",
    "import": "verifier import facts.jsonl",
    "export": "verifier export newsroom.jsonl",
    "restore": "verifier restore newsroom.jsonl --log sqlite:///again.db",
    "attest": "verifier attest",
    "replay": "verifier replay --diff majority",
    "rebuild": "verifier rebuild",
    "webhooks add": "verifier webhooks add https://cms.example.org/hooks/claims --recalls --key cms",
    "webhooks list": "verifier webhooks list",
    "webhooks rotate": "verifier webhooks rotate {whk cms} --overlap 3600",
    "webhooks dead": "verifier webhooks dead {whk cms}",
    "webhooks replay": "verifier webhooks replay {whk cms}",
    "webhooks remove": "verifier webhooks remove {whk cms}",
    "doctor": "verifier doctor",
    "migrate": "verifier migrate",
    "init": "verifier init --name example.org/newsroom",
    "receipt": "verifier receipt {letter} receipt.json",
    "publish": "verifier publish public --texts texts.jsonl",
    "audit": "verifier audit",
    "fork": "verifier fork sqlite:///again.db sqlite:///forked.db --name example.org/newsroom-2",
    "config": "verifier config",
    "split": "verifier register 'US forces will leave Iraq' --key leave\n"
    "verifier split {plan} {leave} {letter} --statements {right 0}={leave} --statements {found 0}={leave} --key split",
    "merge": "verifier merge {leave} {letter} --key merge",
    "withdraw": "verifier withdraw {letter} --reason 'registered by mistake' --key away",
    "demo": "verifier demo --exit --port 0",
}
"""One example for every command but `serve` and `witness`, in the order in which they are run. Of several lines the
last is the example."""
