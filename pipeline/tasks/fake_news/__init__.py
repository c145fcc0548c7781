"""The Fake News Challenge, stage 1."""
