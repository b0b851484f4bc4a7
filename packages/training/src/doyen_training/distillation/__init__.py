"""Distillation: the cache of a teacher's logits, alignment of two tokenizers, and the on-policy run."""
