"""Distillation: the teacher, the cache of its logits, and the alignment of two tokenizers."""
