"""What a line of print is as a title: which statement it opens, of whom, or that the statements end here."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

Kind = Literal["balance", "income", "comprehensive", "cash_flow", "equity"]
Scope = Literal["consolidated", "parent"]

MAX_TITLE: Final = 160
_COMPANY: Final = r"(?:.{2,60}?\b(?:inc|corp|corporation|company|co|ltd|limited|plc|llc|l\.p|n\.v|group|holdings|subsidiaries)\b[.,]* )?"
_BEFORE: Final = (
    r"(?:(?:unaudited|audited|condensed|consolidated|combined|interim|group|summary|the|and|company) )*"
)
# So few additions, because without a bound a hostile line is matched in exponential time.
_AFTER: Final = r"(?: for the .*| (?:as of|as at|at) .*| of financial condition|[ ,]+\(?(?:unaudited|continued|concluded|loss(?:es)?|deficits?|(?:(?:us |u\.s\. )?(?:dollars?|amounts|\$) |shares )?in (?:us |u\.s\. )?[\w$ ,-]+)\)?){0,4}"
_ENGLISH: Final[dict[Kind, str]] = {
    "cash_flow": r"(?:statements? of (?:consolidated )?cash ?flows?|cash ?flows? statements?)",
    "comprehensive": r"statements? of (?:consolidated )?(?:other |total )?comprehensive (?:\(loss\)[ /])?(?:income|loss|earnings)(?: \(loss(?:es)?\)|/\(?loss\)?| and loss)?|comprehensive income statements?",
    "equity": (
        r"statements? of (?:consolidated )?(?:changes? in )?(?:consolidated )?(?:total )?(?:(?:redeemable|convertible|non-?controlling|preferred|stock|interests?|temporary|mezzanine) |and )*"
        r"(?:(?:stock|share|sharehold|stockhold|shareown|own|partn|memb)\w*['’]? ?)?(?:\(deficit\)[ /])?(?:equity|deficit|investment|capital)(?: and .*| \(deficits?\)| \(deficiency\))?"
        r"|statements? of changes in (?:stock|share)\w*['’]? .*|(?:stock|share)holders['’]? equity statements?"
    ),
    "balance": r"(?:balance sheets?|(?<=consolidated )financial position|statements? of (?:consolidated )?(?:(?:financial )?condition|financial position|assets and liabilities))",
    "income": r"(?:statements? of (?:consolidated )?(?:net )?(?:\(loss\)[ /])?(?:operations|income|earnings|loss(?:es)?|profit (?:or|and) loss)(?: and (?:other |total )?comprehensive (?:\(loss\)[ /])?(?:income|loss|earnings)| and (?:retained|reinvested) earnings)?(?:[ /]\(loss(?:es)?\))?|(?:income|earnings) statements?|profit and loss accounts?|(?<=consolidated )results of operations)",
}  # fmt: skip
_TITLES: Final = {
    kind: re.compile(rf"{_COMPANY}{_BEFORE}(?:{pattern}){_AFTER}", re.IGNORECASE)
    for kind, pattern in _ENGLISH.items()
}
_NUMBERING: Final = r"(?:第?[一二三四五六七八九十\d]+[、.．节 ]|[（(][一二三四五六七八九十\d]+[)）])?\s*"
_CHINESE: Final = re.compile(
    rf"{_NUMBERING}(?P<scope>合并(?:及(?:母)?公司)?|综合|母公司|公司|本?集团)?(?:年初至报告期末|本报告期|年度|中期|本?年|\d+年(?:度|\d+[-—]\d+月)?)?"
    r"(?P<name>资产负债表|财务状况表|利润表|损益表|综合收益表|现金流量表|所有者权益变动表|股东权益变动表|权益变动表)"
    r"(?:[（(]续[表一二三四五]?[)）]|[-—]?续)?"
)
_CHINESE_KINDS: Final[dict[str, Kind]] = {
    "资产负债表": "balance", "财务状况表": "balance", "利润表": "income", "损益表": "income",
    "综合收益表": "comprehensive", "现金流量表": "cash_flow",
    "所有者权益变动表": "equity", "股东权益变动表": "equity", "权益变动表": "equity",
}  # fmt: skip
_END: Final = re.compile(
    r"(?:(?:see|refer to|the)?\s*(?:the )?accompanying|see (?:the )?(?:condensed |consolidated |combined )*notes)\b.*"
    r"|.*\(parentheticals?\).*|notes? to (?:the )?(?:unaudited )?(?:interim )?(?:condensed )?(?:consolidated )?(?:combined )?financial statements?.*"
    r"|(?:公司负责人|法定代表人|企业负责人|主管会计工作负责人).*|三、?公司基本情况",
    re.IGNORECASE,
)


class Title(NamedTuple):
    """A statement's title."""

    kind: Kind
    scope: Scope
    continued: bool


def title_of(line: str) -> Title | None:
    """The statement that a line of print names as a title and nothing else."""
    text = " ".join(line.split()).strip(" :：|")
    if not text or len(text) > MAX_TITLE or text.endswith((".", ",")):
        return None
    if found := _CHINESE.fullmatch(text.replace(" ", "")):
        scope: Scope = "parent" if found["scope"] in ("母公司", "公司") else "consolidated"
        return Title(_CHINESE_KINDS[found["name"]], scope, "续" in text)
    if not text[0].isupper():
        return None
    bare = re.sub(
        r"[\s(–—-]*\b(continued|concluded|unaudited)\b[\s)]*", r" \1 ", text, flags=re.IGNORECASE
    ).strip()
    for kind, pattern in _TITLES.items():
        if pattern.fullmatch(" ".join(bare.split())):
            parent = re.search(r"parent|registrant", text, re.IGNORECASE)
            return Title(kind, "parent" if parent else "consolidated", "continued" in text.lower())
    return None


def is_end(line: str) -> bool:
    """Whether a line ends the statement above it: the pointer to the notes, the notes' title, the signatures."""
    return _END.fullmatch(" ".join(line.split())) is not None
