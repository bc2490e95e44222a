"""What is where in images, as people annotated it: boxes and their classes.

Objects            those of one image, in pixels
read_annotations   of a folder of images: COCO JSON, or text files as YOLO reads them
annotation_files   what that reads

May import errors, probes and text.
"""

from onnxunlearn.probes.annotations.objects import Objects
from onnxunlearn.probes.annotations.read import annotation_files, read_annotations

__all__ = ["Objects", "annotation_files", "read_annotations"]
