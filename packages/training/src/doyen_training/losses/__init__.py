"""Loss terms: each a class over the one forward pass of a step; a recipe lists them in order."""
