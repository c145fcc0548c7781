"""
List the types of other packages that a logged model trusts.

The project reads this list from ``conf/model/<model>.yaml``, never from the folder of a model.
Otherwise anyone who can change the folder could have any type loaded. A model logged in MLflow
brings a copy of this package, which runs when the model is loaded. The list is in that copy.
"""

TRUSTED: list[str] = []
