"""What a cat can look like; nothing is painted here."""
