"""Models written again in PyTorch, each from its paper's equations alone, reading our weights by their documented names.

A model is one file: ``MODELS`` are options of ours, small but for none at its default where another would tell more, and ``Network`` the
same in PyTorch (see ``parts.Network``). ``test_parity.py`` runs over all of them.
"""

from . import (
    adasparse,
    aesm2,
    aitm,
    cross_stitch,
    crossing,
    dbmtl,
    escm2,
    esmm,
    generated,
    hinet,
    hmoe,
    inputs,
    logistic,
    m3oe,
    mmoe,
    pepnet,
    ple,
    sarnet,
    snr,
    star,
    towers,
)

BASELINES = (towers, logistic, mmoe, inputs, crossing, ple, hmoe, star)
FILES = (hinet, *BASELINES, esmm, escm2, aitm, cross_stitch, dbmtl, snr, pepnet, sarnet, adasparse, generated, m3oe, aesm2)
ALL = [(options, file.Network) for file in FILES for options in file.MODELS]
