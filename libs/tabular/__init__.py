"""Tables of a user's own: reading them in blocks, learning their columns, encoding their rows."""
