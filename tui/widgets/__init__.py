"""What screens are made of: lists and texts that paint what is in sight, and lines that show the state."""
