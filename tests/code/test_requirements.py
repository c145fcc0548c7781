"""Which distribution provides a package."""

from importlib.metadata import packages_distributions

from pipeline.requirements import providers


def test_every_package_is_provided_by_what_the_standard_library_finds():
    expected = {name: {*by} for name, by in packages_distributions().items() if name.isidentifier()}

    found = {name: {one.name for one in by} for name, by in providers().items()}

    assert expected["sklearn"] == {"scikit-learn"}
    assert {name: found.get(name) for name in expected} == expected
