"""LAB, Large-scale Alignment for chatBots, end to end."""

__version__ = "0.1.0"
