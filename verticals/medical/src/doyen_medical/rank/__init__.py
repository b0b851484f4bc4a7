"""The ranking: scores of every disease for a patient's findings, fused into probabilities that can abstain."""
