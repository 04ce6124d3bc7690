"""Models written again in PyTorch, each from its paper's equations alone, reading our weights by their documented names.

A model is one file: ``MODELS`` are options of ours, small but for none at its default where another would tell more, and ``Network`` the
same in PyTorch (see ``parts.Network``). ``test_parity.py`` runs over all of them.
"""

from . import aitm, cross_stitch, dbmtl, escm2, esmm, hinet, snr

ALL = [(options, file.Network) for file in (hinet, esmm, escm2, aitm, cross_stitch, dbmtl, snr) for options in file.MODELS]
