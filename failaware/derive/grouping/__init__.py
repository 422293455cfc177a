"""The cluster of a failure: fingerprints, templates, and the user's grouping rules. Pure functions."""
