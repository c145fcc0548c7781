"""
Types of other packages that a logged model trusts.

The project itself reads them from ``conf/model/<model>.yaml``, never from a model's folder:
whoever could change the folder could then have any type loaded. A model logged in MLflow
brings code, which whoever loads it runs; its creator's consent is in that code's copy of
this module.
"""

TRUSTED: list[str] = []
