"""Methods, data and what they share; the README draws the house."""
