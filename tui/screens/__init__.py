"""The screens, from the overview down to one attempt; each asks the reader and shows the answer."""
