"""Ultrasound of the breast."""
