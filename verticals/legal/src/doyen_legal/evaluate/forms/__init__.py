"""The surface forms of each kind of fault: plain functions from a sketch and a random source to a plan or None.

A form's name is its function's; its docstring is the line that the list of injected faults prints.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from doyen_legal.evaluate.forms import clauses, parties, quantities, references, terms
from doyen_legal.evaluate.sketch import Sketch
from doyen_legal.evaluate.voice import Plan

Form = Callable[[Sketch, Random], Plan | None]

FORMS: Final[dict[str, tuple[Form, ...]]] = {
    "undefined-term": (
        terms.undefined_in_added_sentence, terms.undefined_in_added_proviso, terms.ordinary_phrase_capitalised,
        terms.definition_deleted, terms.entry_deleted, terms.term_renamed_at_definition,
        terms.use_replaced_by_foreign_term,
    ),
    "unused-term": (
        terms.unused_inline, terms.unused_hereinafter, terms.unused_collectively, terms.unused_entry,
        terms.unused_for_purposes, terms.unused_period_name, terms.only_use_deleted,
    ),
    "duplicate-definition": (
        terms.defined_again_by_sentence, terms.defined_again_inline, terms.defined_again_hereinafter,
        terms.defined_again_collectively, terms.entry_repeated,
    ),
    "case-drift": (
        terms.use_in_lower_case, terms.first_words_in_lower_case, terms.last_word_in_lower_case,
        terms.use_in_upper_case, terms.two_uses_in_lower_case, terms.lower_case_in_added_sentence,
    ),
    "dangling-section": (
        references.section_number_too_high, references.subsection_number_too_high,
        references.paragraph_letter_too_high, references.section_in_added_parenthesis,
        references.section_in_added_sentence, references.section_in_list, references.section_deleted,
    ),
    "dangling-exhibit": (
        references.exhibit_mark_changed, references.exhibit_in_added_sentence,
        references.exhibit_in_added_parenthesis, references.exhibit_added_to_reference,
        references.exhibit_called_otherwise, references.attachment_missing,
    ),
    "number-word-mismatch": (
        quantities.digits_changed, quantities.words_changed, quantities.digits_transposed,
        quantities.mismatched_days_in_added_sentence, quantities.mismatched_percent_in_added_sentence,
        quantities.mismatched_money_in_added_sentence, quantities.digits_first_mismatch,
    ),
    "date-order": (
        quantities.expiry_before_agreement, quantities.agreement_after_expiry, quantities.range_reversed,
        quantities.reversed_range_in_added_sentence, quantities.expiry_sentence_before_agreement,
        quantities.deadline_before_agreement,
    ),
    "term-arithmetic": (
        quantities.period_against_dates, quantities.end_date_against_term, quantities.initial_term_restated,
        quantities.notice_longer_than_renewal, quantities.renewal_shorter_than_notice, quantities.total_of_terms,
        quantities.instalments_against_period,
    ),
    "conflicting-law": (
        clauses.law_full_clause, clauses.law_active_clause, clauses.law_made_under, clauses.law_for_arbitrators,
        clauses.law_agreed_by_parties, clauses.law_clause_copied,
    ),
    "conflicting-cap": (
        clauses.cap_total_liability, clauses.cap_limited_to, clauses.cap_by_fees, clauses.cap_clause_copied,
        clauses.cap_on_one_party, clauses.two_caps_added,
    ),
    "party-name-drift": (
        parties.corporate_form_changed, parties.word_dropped, parties.letter_wrong, parties.plural_changed,
        parties.wrong_name_in_notice_sentence, parties.wrong_name_in_duty_sentence, parties.short_name_misspelt,
    ),
}  # fmt: skip
