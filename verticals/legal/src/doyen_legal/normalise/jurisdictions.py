"""Jurisdictions to canonical names: US states, provinces, countries and their usual contract spellings."""

from __future__ import annotations

import re
from typing import Final

from doyen_legal.normalise.types import Mention
from doyen_schemas import Value

# Names divided by bars, so that the tables stay readable.
_STATES = (
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois"
    "|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri"
    "|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma"
    "|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington"
    "|West Virginia|Wisconsin|Wyoming|District of Columbia|Puerto Rico|Guam"
)
_PROVINCES = (
    "Alberta|British Columbia|Manitoba|New Brunswick|Newfoundland and Labrador|Nova Scotia|Ontario"
    "|Prince Edward Island|Quebec|Saskatchewan|Yukon"
)
_AUSTRALIAN = "New South Wales|Victoria|Queensland|Western Australia|South Australia|Tasmania"
_COUNTRIES = (
    "Afghanistan|Albania|Algeria|Andorra|Angola|Antigua and Barbuda|Argentina|Armenia|Aruba|Australia|Austria"
    "|Azerbaijan|Bahamas|Bahrain|Bangladesh|Barbados|Belarus|Belgium|Belize|Benin|Bermuda|Bhutan|Bolivia"
    "|Bosnia and Herzegovina|Botswana|Brazil|British Virgin Islands|Brunei|Bulgaria|Burkina Faso|Burundi|Cambodia"
    "|Cameroon|Canada|Cayman Islands|Chad|Chile|Colombia|Costa Rica|Croatia|Cuba|Curaçao|Cyprus|Czech Republic"
    "|Denmark|Djibouti|Dominican Republic|Ecuador|Egypt|El Salvador|England and Wales|Estonia|Ethiopia|Fiji|Finland"
    "|France|Gabon|Gambia|Germany|Ghana|Gibraltar|Greece|Guatemala|Guernsey|Guinea|Guyana|Haiti|Honduras|Hong Kong"
    "|Hungary|Iceland|India|Indonesia|Iran|Iraq|Ireland|Isle of Man|Israel|Italy|Ivory Coast|Jamaica|Japan|Jersey"
    "|Kazakhstan|Kenya|Kuwait|Kyrgyzstan|Laos|Latvia|Lebanon|Liberia|Libya|Liechtenstein|Lithuania|Luxembourg|Macau"
    "|Madagascar|Malawi|Malaysia|Maldives|Mali|Malta|Marshall Islands|Mauritius|Mexico|Moldova|Monaco|Mongolia"
    "|Montenegro|Morocco|Mozambique|Myanmar|Namibia|Nepal|Netherlands|New Zealand|Nicaragua|Nigeria"
    "|Northern Ireland|Norway|Oman|Pakistan|Panama|Papua New Guinea|Paraguay|Peru|Philippines|Poland|Portugal|Qatar"
    "|Romania|Rwanda|Samoa|Saudi Arabia|Scotland|Senegal|Serbia|Seychelles|Sierra Leone|Singapore|Slovakia|Slovenia"
    "|South Africa|South Korea|Spain|Sri Lanka|Sudan|Suriname|Sweden|Switzerland|Syria|Taiwan|Tanzania|Thailand|Togo"
    "|Trinidad and Tobago|Tunisia|Turkey|Uganda|Ukraine|United Arab Emirates|United Kingdom|United States|Uruguay"
    "|Uzbekistan|Vanuatu|Venezuela|Vietnam|Yemen|Zambia|Zimbabwe"
)
# Canonical name -> other spellings, as patterns.
_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "People's Republic of China": (
        r"(?:the\s+)?People['’`]?s['’]?\s+Republic\s+of\s+China", "PRC", r"P\.\s?R\.\s?C\.", "China", r"P\.\s?R\.\s+China", "PR China",
        "mainland China", "Mainland China",
    ),
    "Taiwan": ("Republic of China", r"Taiwan,\s+R\.?O\.?C\.?"),
    "Hong Kong": (r"Hong\s*Kong\s+(?:Special\s+Administrative\s+Region|SAR)(?:\s+of\s+(?:the\s+)?(?:PRC|People['’]s\s+Republic\s+of\s+China))?", r"H\.K\.", "HKSAR"),
    "England and Wales": (r"England\s*(?:&|and)\s*Wales",),
    "England": ("England", "English"),
    "United Kingdom": ("Great Britain", "UK", r"U\.K\."),
    "United States": (r"United\s+States\s+of\s+America", r"U\.\s?S\.\s?A\.", "USA", r"U\.S\.", "US"),
    "South Korea": (r"Republic\s+of\s+Korea", "Korea"),
    "District of Columbia": (r"Washington,?\s+D\.?\s?C\.?", r"D\.C\."),
    "Quebec, Canada": ("Québec",),
    "Netherlands": ("Holland", "Dutch"),
    "Russia": (r"Russian\s+Federation", "Russia"),
    "United Arab Emirates": ("UAE", r"U\.A\.E\."),
    "Czech Republic": ("Czechia",),
    "Turkey": ("Türkiye",),
    "Vietnam": ("Viet Nam",),
    "New York": ("N.Y.",),
    "Germany": ("German",), "France": ("French",), "Israel": ("Israeli",), "Japan": ("Japanese",),
    "Switzerland": ("Swiss",), "Italy": ("Italian",), "Sweden": ("Swedish",), "Spain": ("Spanish",),
    "California": ("Californian",),
}  # fmt: skip
# Adjectives name a law only directly before "law".
_ADJECTIVES: Final = frozenset(
    {
        "English",
        "Dutch",
        "German",
        "French",
        "Israeli",
        "Japanese",
        "Swiss",
        "Italian",
        "Swedish",
        "Spanish",
        "Californian",
    }
)


def _names() -> dict[str, str]:
    """Pattern of a spelling -> canonical name."""
    table = {name: name for name in [*_STATES.split("|"), *_COUNTRIES.split("|")]}
    table |= {name: f"{name}, Canada" for name in _PROVINCES.split("|")} | {
        name: f"{name}, Australia" for name in _AUSTRALIAN.split("|")
    }
    table = {re.escape(name).replace(r"\ ", r"\s+"): canonical for name, canonical in table.items()}
    for canonical, spellings in _ALIASES.items():
        table |= {spelling.replace(" ", r"\s+"): canonical for spelling in spellings}
    return table


_TABLE: Final = _names()
_ORDERED: Final = sorted(_TABLE, key=len, reverse=True)
_PREFIX = (
    r"(?:(?:States?|STATES?|state|Commonwealth|COMMONWEALTH|commonwealth|Province|PROVINCE|province|Republic|REPUBLIC|Kingdom"
    r"|KINGDOM|Territory|Federation|Federal\s+Republic|Emirate|Bailiwick|Island|Islands|city|City|Grand\s+Duchy"
    r"|Special\s+Administrative\s+Region|Swiss\s+Confederation)\s+(?:of|OF)\s+(?:the\s+|THE\s+)?)?"
)
_NAME = "|".join(_ORDERED)
_UPPER = "|".join(
    re.sub(r"(?<!\\)[a-zç]", lambda letter: letter[0].upper(), pattern)
    for pattern in _ORDERED
    if pattern not in ("US", "English") and "?:" not in pattern
)
_PATTERN: Final = re.compile(
    rf"(?<![\w’'])(?P<prefix>{_PREFIX})(?P<name>{_NAME}|{_UPPER})(?![\w])(?P<suffix>,\s+(?:Canada|CANADA|Australia|U\.?S\.?A\.?|United\s+Kingdom|U\.?K\.?|United\s+States(?:\s+of\s+America)?|England))?"
)
_COMPILED: Final = tuple((re.compile(pattern, re.I), canonical) for pattern, canonical in _TABLE.items())
_LAW = re.compile(
    r"\b(?:laws?|statutes?|legislation|rules)\b(?:\s+(?:and\s+(?:regulations|jurisdiction|decisions|judicial\s+decisions|statutes|rules)|and\s+the\s+courts|then\s+in\s+effect|in\s+(?:force|effect)))*"
    r"\s*,?\s+(?:of|in|from|applicable\s+in|applicable\s+to\s+contracts\s+made\s+in|prevailing\s+in)\s+",
    re.I,
)
_GOVERN = re.compile(
    r"\b(?:govern(?:ed|s|ing|ance)?|constru(?:ed|ction)|interpret(?:ed|ation)|enforced|subject\s+to|accordance|applicable\s+law|choice\s+of\s+law|controlled)\b",
    re.I,
)
# What may stand between two laws that a clause names together.
_LINK = re.compile(
    r"\s*(?:,|;|and|&|or|and\s+of|and/or|and\s+the|and\s+the\s+laws?\s+of|,\s*and)\s*(?:the\s+)?$", re.I
)
_NOT_THE_LAW = re.compile(
    r"(?:conflicts?[\s\w,'’]{0,30}|choice[\s-]+of[\s-]+law[\s\w]{0,30}|federal\s+|securities\s+|bankruptcy\s+|trade\s*mark\s+|copyright\s+|patent\s+|courts?\s+of\s+the\s+|organized\s+under\s+the\s+|existing\s+under\s+(?:and\s+by\s+virtue\s+of\s+)?the\s+|incorporated\s+under\s+the\s+|under\s+the\s+corporate\s+)$",
    re.I,
)


def find_jurisdictions(text: str) -> list[Mention]:
    """States, provinces and countries named in ``text``, in order, as values of kind ``jurisdiction``.

    A mention covers "State of" and a country behind a province ("Ontario, Canada"). Names in capitals count;
    adjectives ("English") only before "law".
    """
    found: list[Mention] = []
    for match in _PATTERN.finditer(text):
        name = match["name"]
        if name in _ADJECTIVES and not re.match(r"\s+laws?\b", text[match.end() : match.end() + 12], re.I):
            continue
        # "Jersey City", "Washington Street", "Georgia-Pacific" name something else.
        if re.match(
            r"(?:\s+(?:Street|St\.|Avenue|Ave|Road|Boulevard|City|County|University)\b|[-&]\s?[A-Z])",
            text[match.end() : match.end() + 14],
        ):
            continue
        canonical = _canonical(name)
        suffix = (match["suffix"] or "").lower()
        if "canada" in suffix and canonical == "Ontario":
            canonical = "Ontario, Canada"
        found.append(Mention(match.start(), match.end(), Value(kind="jurisdiction", text=canonical)))
    return found


def find_governing_laws(text: str) -> list[Mention]:
    """The jurisdictions whose law ``text`` makes the governing law, in order; empty where it names none.

    Only "laws of X" or "X law" in a sentence that speaks of governing or construing counts; laws that a
    company is organised under, and federal laws named beside a state's or province's, do not.
    """
    found: list[Mention] = []
    mentions = find_jurisdictions(text)
    for index, mention in enumerate(mentions):
        before = text[max(0, mention.start - 120) : mention.start]
        law = None
        for match in _LAW.finditer(before):
            law = match
        direct = law is not None and re.fullmatch(
            r"(?:(?:the|The|THE|[Tt]he\s+(?:[Cc]ourts|[Jj]urisdiction)\s+of\s+the|a|any|said)\s+)?",
            before[law.end() :],
        )
        adjective = re.match(
            r"\s+(?:state\s+|substantive\s+)?laws?\b", text[mention.end : mention.end + 20], re.I
        )
        linked = (
            bool(found)
            and index > 0
            and found[-1] is mentions[index - 1]
            and _LINK.match(text[found[-1].end : mention.start])
        )
        if not (direct or adjective or linked):
            continue
        context_start = max(0, mention.start - 400)
        context = text[context_start : mention.end + 250]
        if not _GOVERN.search(context):
            continue
        if law is not None and direct and _NOT_THE_LAW.search(before[: law.start()]):
            continue
        if adjective and _NOT_THE_LAW.search(before):
            continue
        if any(other.value.text == mention.value.text for other in found):
            continue
        found.append(mention)
    specific = [
        mention for mention in found if mention.value.text not in ("Canada", "United States", "Australia")
    ]
    return specific or found


def _canonical(name: str) -> str:
    plain = " ".join(name.split())
    for pattern, canonical in _COMPILED:
        if pattern.fullmatch(plain):
            return canonical
    return plain
