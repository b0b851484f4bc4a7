"""The 41 CUAD labels, in the order that every array of the extractor uses."""

from __future__ import annotations

from typing import Final

LABELS: Final[tuple[str, ...]] = (
    "Document Name", "Parties", "Agreement Date", "Effective Date", "Expiration Date", "Renewal Term",
    "Notice Period To Terminate Renewal", "Governing Law", "Most Favored Nation", "Non-Compete", "Exclusivity",
    "No-Solicit Of Customers", "Competitive Restriction Exception", "No-Solicit Of Employees",
    "Non-Disparagement", "Termination For Convenience", "Rofr/Rofo/Rofn", "Change Of Control",
    "Anti-Assignment", "Revenue/Profit Sharing", "Price Restrictions", "Minimum Commitment",
    "Volume Restriction", "Ip Ownership Assignment", "Joint Ip Ownership", "License Grant",
    "Non-Transferable License", "Affiliate License-Licensor", "Affiliate License-Licensee",
    "Unlimited/All-You-Can-Eat-License", "Irrevocable Or Perpetual License", "Source Code Escrow",
    "Post-Termination Services", "Audit Rights", "Uncapped Liability", "Cap On Liability",
    "Liquidated Damages", "Warranty Duration", "Insurance", "Covenant Not To Sue", "Third Party Beneficiary",
)  # fmt: skip

# Names, parties and dates: entities with normalised values. The other 37 labels are clauses, of which
# Governing Law also has a normalised value.
ENTITY_LABELS: Final[frozenset[str]] = frozenset(
    {"Document Name", "Parties", "Agreement Date", "Effective Date"}
)
CLAUSE_LABELS: Final[tuple[str, ...]] = tuple(label for label in LABELS if label not in ENTITY_LABELS)
