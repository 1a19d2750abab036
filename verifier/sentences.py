"""The label and the sentences of a status: templates of the policy version, filled when read.

Nothing computed is ever called true, verified or confirmed, and nobody's words stand between quotation
marks unless they were recorded as a quote, so no template has any. `tests/verifier/golden/sentences.json`
shows what comes out, for each rule and variation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from events.contracts import Occurred
from verifier.assessment import Assessment, Ground, SetAsideReason
from verifier.names import Names

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_HOW: Final = {
    "on_record": "on the record",
    "documentary": "in a document",
    "first_hand": "first-hand",
    "anonymous": "described but not named",
}
_COMPARISON: Final = {
    "M1": ("by most outlets", "more outlets ever denied it than ever supported it"),
    "M2": ("by most outlets", "more outlets ever supported it than ever denied it"),
    "M3": ("by one outlet", "one outlet ever supported it and none denied it, too few to corroborate"),
    "M4": ("by as many outlets as support it", "as many outlets ever denied it as ever supported it"),
    "L1": ("in the last statement", "the last statement denies it"),
    "L2": ("in the last statement", "the last statement supports it, and at least two outlets ever did"),
    "L3": ("in the last statement", "the last statement supports it, and no other outlet ever did"),
}
"""Label and reason of the rules of `majority` and `latest`, which nobody should publish by."""

_ASIDE: Final[dict[SetAsideReason, tuple[str, str]]] = {
    "the speaker is not identified": ("the speaker is not identified", "their speakers are not identified"),
    "speaks of a part only": ("it speaks of a part only", "they speak of a part only"),
}
"""Why one statement, or several, are set aside."""

_CORROBORATING_TAKES: Final = {"strict/1": 3}
"""How many origins corroborate, by policy; two where nothing stands here."""


def label(assessment: Assessment, names: Names) -> str:
    """Return the status with the least that must stand beside it, such as `denied by Mark Esper`."""
    status, counts = assessment.status, assessment.counts
    match assessment.rule:
        case "R0":
            return _ending(assessment)
        case "R2" | "R3" | "R4" | "P3":
            return f"{status} by {_speakers(assessment, names)}"
        case "B3":
            return f"disputed: {_count(counts.support_origins, 'origin')} for, {_count(counts.denial_origins)} against"
        case "R5" | "R6":
            return f"{status} by {_count(counts.support_origins, 'origin')}"
        case "R7":
            return "unassessed: nothing that counts is recorded" if assessment.checkable else "an open question"
        case rule:
            return f"{status} {_COMPARISON[rule][0]}"


def explanation(assessment: Assessment, names: Names) -> str:
    """Return why the status is what it is, in one or a few sentences."""
    parts = [_lead(assessment, names), *_rest(assessment, names)]
    return " ".join(f"{part[0].upper()}{part[1:].removesuffix('.')}." for part in parts)


# --- the first sentence ----------------------------------------------------------------------------


def _lead(assessment: Assessment, names: Names) -> str:
    match assessment.rule:
        case "R0":
            return _ending(assessment)
        case "R2":
            return f"retracted by {_speakers(assessment, names)}{_first_date(assessment)}"
        case "R3" | "R4" | "P3":
            return _denied(assessment, names)
        case "B3":
            return f"disputed, since both sides speak: {_also_denied(assessment, names)}"
        case "R5" | "R6":
            return _supported(assessment.status, assessment, names) + _why_not_corroborated(assessment)
        case "R7" if assessment.checkable:
            return "nothing that counts is recorded"
        case "R7":
            return "an open question: it takes notes, not stances"
        case rule:
            return f"{assessment.status}, since {_COMPARISON[rule][1]}"


def _ending(assessment: Assessment) -> str:
    match assessment.status:
        case "merged":
            return "merged into another claim"
        case "split":
            return f"split into {_count(len(assessment.into), 'claim')}"
        case status:
            return f"{status} by the desk"


def _denied(assessment: Assessment, names: Names) -> str:
    """Say who denies it and how: of one denial everything, of several what they have in common."""
    grounds, total = assessment.grounds.shown, assessment.grounds.total
    sentence = f"{assessment.status} by {_speakers(assessment, names)}"
    for word in (_standing, _extent, _attribution):
        common = {word(ground) for ground in grounds}
        if total == len(grounds) and len(common) == 1 and (said := common.pop()):
            sentence += f", {said}"
    if carriers := _carriers(grounds, names):
        sentence += f", carried by {carriers}"
    if total > 1 and len({_speaker(ground) for ground in grounds}) == 1:
        sentence += f", in {_count(total, 'statement')}"
    return sentence + _first_date(assessment)


def _standing(ground: Ground) -> str:
    return "an interested party" if ground.standing == "interested" else ""


def _attribution(ground: Ground) -> str:
    return _HOW.get(ground.attribution or "", "")


def _extent(ground: Ground) -> str:
    return "in part" if ground.extent == "part" else ""


def _carriers(grounds: tuple[Ground, ...], names: Names) -> str:
    """Name who carried a denial that its speaker didn't sign: one that is anonymous, or that an outlet printed."""
    if len(grounds) != 1:
        return ""
    ground = grounds[0]
    if ground.carries:
        return _people([ground.source], names)
    return _people(ground.via, names) if ground.attribution == "anonymous" and ground.via else ""


def _supported(status: str, assessment: Assessment, names: Names) -> str:
    counts = assessment.counts
    sentence = f"{status} by {_count(counts.support_origins, 'origin')}"
    if labels := _origins(assessment, names):
        among = "among them " if counts.support_origins > len(assessment.origins) else ""
        sentence += f", {among}{labels}"
    if counts.outlets > counts.support_origins:
        sentence += f", carried by {counts.outlets:,} outlets"
        sentence += ", which count once" if counts.support_origins == 1 else ""
    elif counts.outlets == 1 and (outlet := _only_outlet(assessment, names)) not in ("", labels):
        sentence += f", carried by {outlet}"
    return sentence


def _only_outlet(assessment: Assessment, names: Names) -> str:
    if assessment.rule not in ("R5", "R6"):
        return ""
    ground = assessment.grounds.shown[0]
    return _people(ground.via or [ground.source], names)


def _why_not_corroborated(assessment: Assessment) -> str:
    origins, takes = assessment.counts.support_origins, _CORROBORATING_TAKES.get(assessment.policy, 2)
    if assessment.rule != "R6" or origins < 2:
        return ""
    return f"; this policy asks for {_count(takes)}" if origins < takes else "; each of them is anonymous or interested"


# --- the other sentences ---------------------------------------------------------------------------


def _rest(assessment: Assessment, names: Names) -> Iterator[str]:
    rule, counts = assessment.rule, assessment.counts
    if rule == "R0":
        return
    if rule in ("R3", "R4", "P3", "B3") and counts.support_origins:
        yield _supported("asserted", assessment, names)
    if rule == "R2" and assessment.denials:
        yield f"it is also {_also_denied(assessment, names)}"
    if rule in _COMPARISON:
        yield "this policy is for comparison only"
    elif superseded := assessment.superseded.total:
        yield f"{_count(superseded, 'statement')} {_are(superseded)} superseded by another of the same source"
    if assessment.set_aside.total:
        yield _set_aside(assessment)
    if left_out := assessment.left_out.total:
        yield f"{_count(left_out, 'statement')} without a date {_are(left_out)} left out"
    if "overtaken" in assessment.attention:
        yield "since the last denial at least two new origins support it"
    if assessment.verdict is not None and assessment.verdict.stale:
        yield f"the verdict was given when the status was {assessment.verdict.status}"


def _also_denied(assessment: Assessment, names: Names) -> str:
    denials = assessment.denials
    more = assessment.counts.denial_origins > len({ground.origin for ground in denials})
    return f"denied by {_people(map(_speaker, denials), names, more=more)}"


def _set_aside(assessment: Assessment) -> str:
    total = assessment.set_aside.total
    reasons = dict.fromkeys(aside.reason for aside in assessment.set_aside.shown)
    why = ", or ".join(_ASIDE[reason][total > 1] for reason in reasons)
    return f"{_count(total, 'statement')} {_are(total)} set aside: {why}"


# --- people and origins ----------------------------------------------------------------------------

_Speaker = tuple[str, int | None]


def _speaker(ground: Ground) -> _Speaker:
    """Return whose word a ground is: the origin's where the source only carries it."""
    return ("origin", ground.origin) if ground.carries else ("party", ground.source)


def _speakers(assessment: Assessment, names: Names) -> str:
    grounds = assessment.grounds
    return _people(map(_speaker, grounds.shown), names, more=grounds.total > len(grounds.shown))


def _people(whom: Iterable[_Speaker | int | None], names: Names, *, more: bool = False) -> str:
    """Name some speakers or parties, at most three, and say how many others there are, or that there are `more`."""
    speakers = dict.fromkeys(one if isinstance(one, tuple) else ("party", one) for one in whom)
    known = list(dict.fromkeys(name for one in speakers if (name := _name(one, names))))
    erased = sum(1 for one in speakers if not _name(one, names))
    if erased:
        known.append(f"{'a source' if erased == 1 else _count(erased, 'source')} {_whose(erased)}")
    if more:
        return f"{', '.join(known[:2])} and others"
    if len(known) > 3:
        return f"{', '.join(known[:2])} and {_count(len(known) - 2, 'other')}"
    return _list(known)


def _name(speaker: _Speaker, names: Names) -> str | None:
    kind, number = speaker
    if kind == "origin":
        origin = names.origins.get(number or 0)
        return origin.label if origin else None
    party = names.parties.get(number or 0)
    return party.name if party else None


def _origins(assessment: Assessment, names: Names) -> str:
    known = list(dict.fromkeys(label for number in assessment.origins if (label := _name(("origin", number), names))))
    erased = sum(1 for number in assessment.origins if number not in names.origins)
    if erased:
        known.append(f"{_count(erased)} {_whose(erased)}" if known else _whose(erased))
    return _list(known)


def _whose(erased: int) -> str:
    return "whose name was erased" if erased == 1 else "whose names were erased"


# --- dates and numbers -----------------------------------------------------------------------------


def _first_date(assessment: Assessment) -> str:
    """Say when the first of the grounds was said; one that nobody dated, when we recorded it."""
    grounds = assessment.grounds
    dated = [(g.occurred.earliest, g.occurred) for g in grounds.shown if g.occurred and g.occurred.earliest]
    if grounds.total == 1:
        return f", {_said_on(*dated[0])}" if dated else ", without a date"
    if len(dated) < grounds.total and (len(dated) < len(grounds.shown) or assessment.rule in ("R2", "P3")):
        return ""  # one without a date, or one that isn't shown, may be the first
    return f", first {_said_on(*min(dated, key=lambda each: each[0]))}"


def _said_on(earliest: str, occurred: Occurred) -> str:
    return f"{'recorded ' if occurred.basis == 'assumed' else ''}{_date(occurred, earliest)}"


def _date(occurred: Occurred, earliest: str) -> str:
    first, last = _day(earliest), _day(occurred.latest or earliest)
    match occurred.precision:
        case "year":
            return earliest[:4]
        case "month":
            return first.split(" ", 1)[1]
        case _:
            return first if first == last else f"between {first} and {last}"


def _day(moment: str) -> str:
    return f"{int(moment[8:10])} {_MONTHS[int(moment[5:7]) - 1]} {moment[:4]}"


def _count(number: int, noun: str = "") -> str:
    word = _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"
    return f"{word} {noun}{'' if number == 1 else 's'}" if noun else word


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _list(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
