"""The small taxonomy: what a row is, in English and Chinese reports alike; the checks are written in it."""

from __future__ import annotations

import re
from typing import Final

from doyen_finance.statements.titles import Kind

_EQUITY: Final = r"(?:stock|share|sharehold|stockhold|shareown|own|member|partner)\w*['’]?s?['’]? "
# First match wins; a label is compared in lower case, without brackets and marks of notes.
_RULES: Final[dict[Kind, tuple[tuple[str, str], ...]]] = {
    "balance": (
        ("liabilities_and_equity", r"total liabilities,? .*(?:equity|deficit|capital|interests?)|liabilities and .*equity.*total|负债[和及与].*(?:权益|股东).*(?:总计|合计)"),
        ("total_assets", r"total assets|资产总计|资产合计|资产总额"),
        ("current_assets", r"total current assets|流动资产合计"),
        ("noncurrent_assets", r"total (?:non-?current|long-term) assets|非流动资产合计"),
        ("current_liabilities", r"total current liabilities|流动负债合计"),
        ("noncurrent_liabilities", r"total (?:non-?current|long-term) liabilities|非流动负债合计"),
        ("total_liabilities", r"total liabilities|负债合计|负债总计"),
        ("parent_equity", rf"total .*(?:company|corporation|parent|inc\.?|group|{_EQUITY})['’]?s? .*equity.*attributable.*|归属于母公司.*权益.*合计"),
        ("total_equity", rf"total (?:{_EQUITY})?(?:equity|deficit|capital)(?: \(deficit\))?|(?:所有者|股东)权益.*合计"),
        ("noncontrolling_interests", r"(?:nonredeemable )?non-?controlling interests?.*|少数股东权益"),
        ("redeemable_interests", r"redeemable .*interests?.*|temporary equity.*"),
        ("cash", r"cash and (?:cash )?equivalents|cash|货币资金"),
        ("receivables", r"(?:accounts|trade)(?: and other)? receivables?.*|receivables,? net|应收账款"),
        ("inventories", r"inventor(?:y|ies).*|merchandise inventories|存货"),
        ("property", r"(?:total )?(?:property|plant|land).*equipment.*|固定资产"),
        ("goodwill", r"goodwill|商誉"),
        ("payables", r"(?:accounts|trade) payables?|应付账款"),
        ("long_term_debt", r"long-term (?:debt|borrowings|notes).*|长期借款"),
        ("retained_earnings", r"retained earnings.*|accumulated (?:deficit|earnings).*|reinvested earnings|未分配利润"),
    ),
    "income": (
        ("eps_basic", r"(?:.* )?basic(?: .*)?|.*基本每股收益.*"),
        ("eps_diluted", r"(?:.* )?(?:diluted|assuming dilution)(?: .*)?|.*稀释每股收益.*"),
        ("gross_profit", r"gross (?:profit|margin|income)"),
        ("cost_of_revenue", r"(?:total )?costs? of (?:revenues?|sales|goods|products).*|.*营业成本"),
        ("operating_income", r"(?:income|loss|profit|earnings)(?: \(loss\))? from operations|operating (?:income|profit|loss|earnings).*|.*营业利润.*"),
        ("pretax_income", r"(?:income|loss|earnings|profit).*before .*tax.*|.*利润总额.*"),
        ("income_tax", r"(?:provision|benefit).*(?:income )?tax.*|income tax.*(?:provision|expense|benefit)?.*|income taxes|.*所得税费用"),
        ("net_income_parent", r"net (?:income|earnings|loss).*attributable to (?!.*interest).*|.*归属于母公司(?:股东|所有者)的净利润.*"),
        ("net_income", r"(?:consolidated )?net (?:income|earnings|loss|profit|\(loss\) income|income \(loss\)|earnings \(loss\))|(?:五|四|六)?、?净利润.*"),
        ("interest_expense", r"interest expense.*|利息费用|.*利息费用"),
        ("revenue", r"(?:total )?(?:net )?(?:operating )?(?:revenues?|sales|net sales)(?:, net)?|.*营业总收入|.*营业收入"),
    ),
    "comprehensive": (
        ("comprehensive_income", r"(?:total )?comprehensive (?:income|loss|earnings).*|.*综合收益总额"),
        ("other_comprehensive_income", r"(?:total )?other comprehensive (?:income|loss|earnings|\(loss\)).*|.*其他综合收益的税后净额"),
        ("net_income", r"(?:consolidated )?net (?:income|earnings|loss).*"),
    ),
    "cash_flow": (
        ("net_operating", r"(?:total )?(?:net )?(?:cash|cash flows?).*operat(?:ing activities|ions)|经营活动产生的现金流量净额"),
        ("net_investing", r"(?:total )?(?:net )?(?:cash|cash flows?).*investing activities|投资活动产生的现金流量净额"),
        ("net_financing", r"(?:total )?(?:net )?(?:cash|cash flows?).*financing activities|筹资活动产生的现金流量净额"),
        ("exchange_effect", r".*(?:exchange rate|currency|exchange).* (?:on|in) .*cash.*|.*汇率变动对现金.*影响.*"),
        ("cash_beginning", r".*cash.*(?:beginning|start).*|.*期初现金.*余额|(?:beginning|opening).*cash.*|balance,? beginning.*"),
        ("cash_end", r".*cash.*\bend(?:ing)?\b.*|.*期末现金.*余额|balance,? end.*"),
        ("net_change_in_cash", r".*(?:increase|decrease|change).* cash.*|.*现金及现金等价物净增加额"),
        ("net_income", r"(?:consolidated )?net (?:income|earnings|loss).*"),
    ),
    "equity": (),
}  # fmt: skip
_COMPILED: Final = {kind: tuple((name, re.compile(p)) for name, p in rules) for kind, rules in _RULES.items()}
_PREFIX: Final = re.compile(
    r"^(?:[一二三四五六七八九十]+、|[（(][一二三四五六七八九十\d]+[)）]|\d+[.．、]|[加减其中]+[:：])\s*"
)


def concept_of(kind: Kind, label: str, path: tuple[str, ...] = ()) -> str | None:
    """The concept of a row by its label, or None; "Basic" under shares is no earnings per share."""
    bare = _PREFIX.sub("", label.strip())
    bare = re.sub(r"（[^（）]*）|\((?!loss|deficit)[^()]*\)", "", bare.lower())
    bare = re.sub(r"[*†‡]|(?<=[a-z])\d$", "", bare).strip(" :：,—-")
    bare = re.sub(r"\s+", " ", bare)
    for name, pattern in _COMPILED[kind]:
        if pattern.fullmatch(bare):
            if name.startswith("eps_"):
                about = f"{label} {path[-1] if path else ''}".lower()
                if re.search(r"weighted|average|shares (?:used|outstanding)|number of", about):
                    return name.replace("eps", "shares")
                if not re.search(r"per .*share|per .*unit|每股", about + " ".join(path).lower()):
                    return None
            return name
    return None
