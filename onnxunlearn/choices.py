"""What options may be, where it is known before anything is loaded: the command line's help shows it."""

#: name -> module and class; imported only when asked for, since each needs another package
ENGINES = {
    "onnxruntime": ("onnxunlearn.engines.onnxruntime", "OnnxRuntimeEngine"),
    "torch": ("onnxunlearn.engines.torch", "TorchEngine"),
    "numpy": ("onnxunlearn.engines.numpy", "NumpyEngine"),
}
#: how far back auto and erase reach
LAST_BLOCK, DEEP = DEPTHS = ("last-block", "deep")
#: the task that the probes pose, and the one that is no classifier's
AUTO, EMBEDDING = "auto", "embedding"
#: of the environment: the password of the key that signs
PASSWORD = "ONNXUNLEARN_KEY_PASSWORD"
