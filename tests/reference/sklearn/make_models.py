"""The classifiers of this folder: scikit-learn on its digits, exported by skl2onnx. Neither is needed by the tests.

    pip install scikit-learn skl2onnx && python tests/reference/sklearn/make_models.py
"""

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
MODELS = {
    "mlp": MLPClassifier((32,), max_iter=500, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=300, random_state=0)),
    "logistic": LogisticRegression(max_iter=500),
    "forest": RandomForestClassifier(5, max_depth=4, random_state=0),
}

if __name__ == "__main__":
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    for name, model in MODELS.items():
        model.fit(x[:1000], y[:1000])
        for zipmap in (True, False):
            made = to_onnx(model, x[:1], options={id(model): {"zipmap": zipmap}})
            kind = "map" if zipmap else "tensor"
            (HERE / f"{name}_{kind}.onnx").write_bytes(made.SerializeToString())
    np.savez_compressed(HERE / "digits.npz", x=x[1000:1400], y=y[1000:1400])
