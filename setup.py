"""What pyproject.toml cannot say: cli/ lies beside the package but is installed inside it.

It is `onnxunlearn.cli`, so that nobody else's `import cli` is shadowed.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["onnxunlearn", "onnxunlearn.*"]), "onnxunlearn.cli"],
    package_dir={"onnxunlearn.cli": "cli"},
)
