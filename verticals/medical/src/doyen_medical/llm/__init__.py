"""The tuned language model: it may re-order the first candidates within a bound, and explains with checked sentences."""
