"""The medical graph, and the encoder that compares a patient's findings with diseases on it."""
