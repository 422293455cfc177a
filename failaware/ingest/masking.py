"""Temporary."""


class Masker:
    def __init__(self, extra_keys=(), enabled=True):
        pass

    def mask_text(self, text):
        return text, 0

    def mask_value(self, value):
        return value, 0
