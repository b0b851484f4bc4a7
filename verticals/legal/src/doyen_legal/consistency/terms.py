"""Defined terms: where they are defined, where they are used, and what does not fit together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from doyen_legal.consistency.source import Source
from doyen_legal.consistency.types import Span

# How a definition is made: "means" and its kin, an alias in brackets, "hereinafter called", or a pointer to
# the place of the definition.
_QUOTE = r"(?:\"|(?<![A-Za-z])'(?=[A-Z])|(?<=[A-Za-z.,!])'(?![A-Za-z]))"
_TERM = r"(?P<term>[A-Z0-9][^\"\n]{0,60}(?:\n[^\"\n]{0,60})?)"
_VERB = (
    r"(?:(?:shall|will|is\s+intended\s+to|are\s+intended\s+to)\s+)?(?:(?:also|each|only|collectively|together|individually|respectively|either|have\s+the\s+following\s+meanings?|be\s+defined)\s*,?\s*)*"
    r"(?:means?\b|meaning\b|refers?\s+to\b|be\s+deemed\s+to\s+(?:mean|refer|include)\b|includes?\b|denotes?\b|signif(?:y|ies)\b|is\s+defined\s+(?:as|to)\b|are\s+defined\s+(?:as|to)\b|be\s+defined\s+(?:as|to)\b|(?:has|have)\s+(?:the\s+)?(?:same\s+|respective\s+)?meanings?\b|consists?\s+of\b)"
)
_POINTER: Final = re.compile(
    r"[^.;]{0,60}?(?:meanings?\s+(?:as\s+)?(?:set\s+forth|given|ascribed|assigned|specified|provided|stated|described|set\s+out|defined|indicated|attributed|contained|given\s+to\s+(?:it|such\s+term|them)|as\s+set|as\s+defined|as\s+described|in|under|therefor)|defined\s+(?:in|as\s+set\s+forth|at)|(?:shall\s+be|is|are)\s+(?:as\s+)?(?:defined|set\s+forth|described|specified)\s+in)",
    re.I,
)
_MEANS: Final = re.compile(
    rf"\"\s*(?:[Tt]he\s+)?(?P<term>(?-i:[A-Z0-9])[^\"]{{0,80}}?)[\s,.;:]*\"(?P<between>(?:\s*\([^()]{{0,120}}\))?(?:,?\s*(?:and|or|,|/)\s*\"[^\"]{{1,80}}\")*(?:\s*\([^()]{{0,80}}\))?(?:,?\s+(?:as\s+used|when\s+used|as\s+applied|with\s+respect\s+to|in\s+relation\s+to|of\s+(?:a|any|the)|for\s+(?:the\s+)?purposes?|in\s+respect\s+of|as\s+to|used)[^\";.]{{0,100}}?,?)?\s*[:,]?\s*)(?P<verb>{_VERB})",
    re.I,
)
_COLON: Final = re.compile(
    r"(?:(?<=\n)|(?<=\s{2})|(?<=[.;]\s)|(?<=\d\s)|(?<=[.)]\s))[ ]{0,20}\"\s*(?:[Tt]he\s+)?(?P<term>[A-Z0-9][^\"]{0,80}?)\s*\"\s*(?::|-\s|=)"
)
_BRACKET: Final = re.compile(r"[(\[](?P<inside>[^()\[\]]{0,240}?\"[^()\[\]]{1,240}?)[)\]]")
_BRACKET_WORDS: Final = re.compile(
    r"(?:\s|,|;|:|\.|/|-|\"[^\"]{1,80}\"|\b(?:and|or|the|this|these|those|each|either|an?|any|such|all|as|is|are|be|shall|may|to|of|in|for|its?|their|both|collectively|together|jointly|severally|individually|singly|singularly|respectively|with|its|affiliates|hereinafter|hereafter|herein|hereunder|hereto|hereby|referred|refer|called|known|defined|designated|sometimes|also|from|time|being|purposes|agreement|contract|amendment|document|parties|party|term|terms|collective|individual|such|exhibit|schedule|foregoing|which|what|under|on|by|plural|singular|alternatively|interchangeably|as\s+the\s+context|case|previously|after|simply|where|above|below|generally|trading|subject|limitation|without|including|other|one|more|every|will|between|section|them|it|he|she|we|us|you|our|your)\b)*",
    re.I,
)
_CALLED: Final = re.compile(
    r"\b(?:(?:herein(?:after|\s+after)?|hereafter|herein)(?:\s+(?:sometimes|collectively|individually|jointly|each|together|also|only|simply|respectively|be|both))*,?\s+(?:to\s+be\s+)?(?:(?:be\s+)?(?:referred\s+to|called|known|designated|defined|described|termed)(?:\s+(?:collectively|individually|jointly|herein|hereinafter|together|in\s+this\s+Agreement))*(?:\s+(?:as|to\s+as))?)?|(?:referred\s+to|known|defined|designated|described)(?:\s+(?:herein|hereinafter|hereafter|in\s+this\s+Agreement|collectively|individually|jointly|together|each|for\s+purposes\s+of\s+this\s+Agreement|throughout\s+this\s+Agreement|below|sometimes))*\s+as)[\s,:]*(?:the\s+|an?\s+|collectively,?\s+)*\"\s*(?:[Tt]he\s+)?(?P<term>[A-Z0-9][^\"]{0,80}?)[\s,.;]*\"",
    re.I,
)
_PLAIN_MEANS: Final = re.compile(
    r"(?:(?<=\n)|(?<=\s{2})|(?<=[.;:)]\s)|(?<=\d\s)|(?<=\bterm\s)|(?<=\bterms\s))[ ]{0,20}(?P<term>(?-i:[A-Z][\w&'/.-]*(?:[ \n]+(?:of|and|or|for|to|in|the|[A-Z][\w&'/-]*)){0,6}))\s*(?:,\s+as\s+used\s+(?:herein|in\s+this\s+\w+),\s+|\([^()]{0,60}\)\s*)?(?:shall\s+mean\b|means?\b(?!\s+of)|(?:has|have|shall\s+have)\s+the\s+(?:meaning|following)|is\s+(?:hereby\s+)?defined\s+as|will\s+mean\b|refers\s+to\b)",
    re.I,
)
_PLAIN_BRACKET: Final = re.compile(
    r"\(\s*(?:(?:hereinafter|hereafter|herein|collectively|individually|together|jointly|each|referred\s+to|called|as|known|sometimes|and|or|also|the|an?|this|such|both|,|defined)\s*,?\s*)+(?P<term>(?-i:[A-Z][\w&'/-]*(?:\s+[A-Z][\w&'/-]*){0,4}))\s*\)",
    re.I,
)
_ALONE: Final = re.compile(r"\(\s*(?P<term>[A-Z][\w&'/-]+(?:\s[A-Z][\w&'/-]+)?)\s*\)")
_QUOTED: Final = re.compile(r"\"\s*(?:[Tt]he\s+)?([A-Z0-9][^\"]{0,80}?)[\s,.;:]*\"")
_OTHER_MEANING: Final = re.compile(
    r"\b(?:capitali[sz]ed\s+(?:terms?|words?|expressions?)|(?:all\s+)?(?:terms?|words?|expressions?)\s+(?:used|not\s+(?:otherwise\s+)?defined|defined|which\s+are))[^.]{0,160}?\b(?:defined|meanings?|ascribed)\b[^.]{0,200}?\b(?:in|under|by|to\s+(?:them|such\s+terms?|it)\s+in)\s+(?:the\s+|that\s+certain\s+|such\s+)?(?-i:(?!This\b|Section\b|Sections\b|Article\b)[A-Z\"][\w\" -]{0,60}?)(?-i:Agreement|Indenture|Plan|Lease|Contract|Annex|Appendix|Exhibit|Schedule|Prospectus|Glossary|Act|Conditions|Terms|Deed|Rules|[A-Z]{3,})\b",
    re.I,
)


_NOT_TERMS: Final = frozenset(
    ["this", "that", "it", "which", "such", "in", "the", "any", "currency", "nothing"]
)


@dataclass(frozen=True)
class Definition:
    """A term and where it is defined.

    ``start, end`` is the term itself, ``form`` how it is defined (``means``, ``bracket``, ``called``,
    ``pointer``, ``quoted``), ``scope`` the exhibit it stands in, ``text`` what follows, to compare two.
    """

    term: str
    start: int
    end: int
    form: str
    scope: str
    text: str


def key(term: str) -> str:
    """The term in small letters with single spaces and its last word in the singular."""
    words = re.sub(r"[\s\"'.,;:]+", " ", term.lower()).strip().split(" ")
    return " ".join([*words[:-1], singular(words[-1])]) if words and words[0] else ""


def singular(word: str) -> str:
    """A rough singular: "parties" to "party", "businesses" to "business", "products" to "product"."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 5 and re.search(r"(?:ss|x|ch|sh)es$", word):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


class Terms:
    """The defined terms of a document."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.definitions = sorted(self._find(), key=lambda definition: definition.start)
        self.by_key: dict[str, list[Definition]] = defaultdict(list)
        for definition in self.definitions:
            self.by_key[key(definition.term)].append(definition)

    @cached_property
    def known(self) -> frozenset[str]:
        """Keys of every term that is defined, pointed to or quoted in a way that may define it."""
        return frozenset(self.by_key)

    @cached_property
    def defined_elsewhere(self) -> bool:
        """Whether the document takes its terms from another one ("as defined in the Credit Agreement")."""
        return bool(_OTHER_MEANING.search(self.source.text))

    @cached_property
    def spans(self) -> list[Span]:
        """The places of the defined terms, in order."""
        return [(definition.start, definition.end) for definition in self.definitions]

    def _find(self) -> Iterator[Definition]:
        text, seen = self.source.text, set()

        def make(start: int, end: int, form: str, after: int) -> Iterator[Definition]:
            term = " ".join(text[start:end].split()).strip(" ,.;:'")
            if start in seen or not re.search(r"[A-Za-z]{2}|^[A-Z]$", term) or len(term.split()) > 9:
                return
            seen.add(start)
            body = " ".join(text[after : after + 200].split())
            yield Definition(term, start, end, form, self.source.scope(start), body)

        for match in _MEANS.finditer(text):
            form = "pointer" if _POINTER.match(text, match.start("verb")) else "means"
            yield from make(*match.span("term"), form, match.end())
            for other in _QUOTED.finditer(match["between"] or ""):
                offset = match.start("between")
                yield from make(offset + other.start(1), offset + other.end(1), form, match.end())
        for match in _COLON.finditer(text):
            yield from make(*match.span("term"), "means", match.end())
        for match in _BRACKET.finditer(text):
            if not _BRACKET_WORDS.fullmatch(match["inside"].strip()):
                form = "quoted"
            else:
                form = "bracket"
            for other in _QUOTED.finditer(text, match.start("inside"), match.end("inside")):
                yield from make(other.start(1), other.end(1), form, match.end())
        for match in _CALLED.finditer(text):
            yield from make(*match.span("term"), "called", match.end())
            # "hereinafter called "X" or "Y""
            tail = re.compile(r"\s*(?:,|and|or)\s*(?:the\s+)?\"\s*([A-Z][^\"]{0,60}?)[\s,.;]*\"").match(
                text, match.end()
            )
            if tail:
                yield from make(*tail.span(1), "called", tail.end())
        for match in _PLAIN_MEANS.finditer(text):
            if match["term"].split()[0].lower() in _NOT_TERMS or match["term"].split()[-1] == "Agreement":
                continue
            form = "pointer" if _POINTER.match(text, match.end("term")) else "means"
            yield from make(*match.span("term"), form, match.end())
        for match in _PLAIN_BRACKET.finditer(text):
            if re.match(r"\(\s*(?:and|or|as|also|both)\s", match[0], re.I):
                continue  # "(or Commercialization)"
            yield from make(*match.span("term"), "bracket", match.end())
        for match in _ALONE.finditer(text):
            yield from make(*match.span("term"), "quoted", match.end())
        for match in re.finditer(
            r"[(\[][^()\[\]]{0,80}?(?<!\w)'([A-Z][^'\"()]{1,50})'[^()\[\]]{0,60}[)\]]", text
        ):
            yield from make(*match.span(1), "bracket", match.end())
        for match in re.finditer(
            r"(?<!\w)'([A-Z][^'\"()]{1,50})'\s+(?:shall\s+)?(?:means?|has\s+the)\b", text
        ):
            yield from make(*match.span(1), "means", match.end())
        for match in _QUOTED.finditer(text):
            yield from make(*match.span(1), "quoted", match.end())
