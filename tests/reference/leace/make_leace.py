"""Frozen answers of the authors' package: python make_leace.py (needs concept-erasure 0.2.4 and torch)."""
import sys
import numpy as np, torch
from concept_erasure import LeaceFitter
rng=np.random.default_rng(0)
z=rng.random(300)<0.4
x=rng.normal(size=(300,6))@rng.normal(size=(6,6))+np.outer(z,rng.normal(size=6))
x=x.astype(np.float64)
f=LeaceFitter.fit(torch.from_numpy(x),torch.from_numpy(z.astype(np.float64))[:,None],method="leace",shrinkage=False)
e=f.eraser
np.savez(sys.argv[1],x=x,z=z,erased=e(torch.from_numpy(x)).numpy(),projection=e.P.numpy())
