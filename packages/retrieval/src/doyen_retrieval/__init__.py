"""Passages in FAISS and BM25, hybrid search, and citations checked by code."""
