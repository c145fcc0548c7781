"""Breast cancer: is the tumour malignant or benign."""
