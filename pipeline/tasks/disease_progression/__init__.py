"""Diabetes: is the tumour malignant or benign."""
