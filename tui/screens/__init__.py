"""The screens, from the overview down to one attempt; each asks the feed and shows the answer."""
