"""Erase in whole images: what a detector says everywhere else is pinned, so that all its layers may change.

The heads of a detector read features of a trunk that boxes and the other heads are made of, too. Let φ_h be
what head h reads at a place (`spots`), F_h the places at which the original says a class to forget, G_h those
at which it says another, B_h background. Over the weights of the layers before the heads minimise

    Σ_h [ mean |H(φ'_h − φ_h)|² + ε·mean |(1 − H)(φ'_h − φ_h)|²           of places of G_h, and as many of B_h
          + κ/|G_h|·Σ KL(p_h ‖ p'_h)                                       of all places but F_h
          + β·½·( SW(φ'_h(F_h), φ'_h(N_h))/SW₀ + W_t(φ'_h(F_h), φ'_h(N_h))/W₀ ) ]
    + γ·mean |b' − b|²                                                     of places where there is something

H and SW as in `erase`, ε 0.3; p: probabilities of the retained classes; N_h: for each place of F_h one of the
class that the original says next there, drawn anew, as it is by now; W_t: the same distance along t alone,
the direction in which a classifier fitted to the last steps tells them apart; b: boxes and objectness, in
units of a tenth of their deviation. A step looks at some images that show the class, and at fewer others.
Of queries φ is also what the first layer makes that has looked at the image (`first_seen`), H = 0 there.

spots       what a head reads at its places
pull        what draws the class's places to others
heads       the loss at one head
beside      the loss of what is said besides
first_seen  where queries see the class first
unfelt      steps that what is to stay hardly feels
work        how much may be looked at
resistance  what fine-tuning would bring back, if it is asked
fit         the descent
branch      the descent where class scores alone are made, at places
gathered    all images, read once for it
sampled     places that it looks at
likeness    its loss
windows     places of a segmenter, likewise

Source: this project.

May import edits, engines, errors, graph, methods, numerics and reverse.
"""

from onnxunlearn.methods.whole.branch import Branch, branch_layers, ends_of
from onnxunlearn.methods.whole.fit import Whole
from onnxunlearn.methods.whole.gathered import End, Gathered
from onnxunlearn.methods.whole.heads import ASIDE, DOUBT, FORGET, HeadMap
from onnxunlearn.methods.whole.windows import Windows, end_of_places

__all__ = [
    "ASIDE",
    "DOUBT",
    "FORGET",
    "Branch",
    "End",
    "Gathered",
    "HeadMap",
    "Whole",
    "Windows",
    "branch_layers",
    "end_of_places",
    "ends_of",
]
