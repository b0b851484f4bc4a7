"""What the ranking rests on: the Human Phenotype Ontology, its annotations with their sources, genes, codes."""
