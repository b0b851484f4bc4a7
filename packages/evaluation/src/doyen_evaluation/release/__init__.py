"""Adapter releases: build and sign a bundle, hold it to the evaluation gate, promote it in a store, roll back."""
