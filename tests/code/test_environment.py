"""What a run records of the machine and of what is installed."""

import platform
import subprocess
import sys
from importlib.metadata import distributions

from pipeline.tracking.environment import installed_packages, machine


def test_versions_are_those_of_importlib_metadata():
    def canonical(name):
        return name.lower().replace("-", "_").replace(".", "_")

    found = [line.split("==") for line in installed_packages()]

    names = [name for name, _ in found]
    assert names == sorted(names)
    first = {}
    for distribution in distributions():
        first.setdefault(canonical(distribution.name), distribution.version)
    versions = {canonical(name): version for name, version in found}
    assert {"torch", "scikit_learn", "mlflow", "bakeoff"} <= set(versions)
    assert versions == first


def test_a_package_that_hides_another_is_the_one_that_is_listed(tmp_path, monkeypatch):
    for folder, version in (("one", "2.0"), ("two", "1.0")):
        (tmp_path / folder / f"some_thing-{version}.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "one"), str(tmp_path / "two")])

    assert installed_packages() == ["some_thing==2.0"]


def test_the_machine_is_described():
    found = machine()

    assert found["python"] == platform.python_version()
    assert set(found) == {
        "python",
        "machine.system",
        "machine.processor",
        "machine.cores",
        "machine.threads",
    }
    assert all(found.values())


def test_threads_are_those_that_the_environment_sets():
    code = "import numpy; from pipeline.tracking.environment import machine; "
    code += "print(machine()['machine.threads'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "1\n"
