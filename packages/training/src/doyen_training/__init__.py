"""Supervised fine-tuning of a base model with LoRA: recipe in, adapter and record of the run out."""
