"""A patient's findings in and out: phenopackets, FHIR R4, term lists, notes; a ranked report as FHIR R4."""
