#!/usr/bin/env bash
# What takes long, by hand: `make verify-long`. Prints what docs/results.md and docs/performance.md record.
#   verify_long.sh PROGRAM [WORKDIR]
# Studies over three seeds on data with known truth and, where HINET_SHARED_DATA names a folder with kuairand-pure/, on
# KuaiRand; 200 steps on 5 GB of Parquet and of CSV, with the memory they took; 5 GB of a public data set converted; ten minutes
# of made-up requests, where cargo-fuzz and a nightly toolchain are installed.
set -euo pipefail
program=$(realpath "$1")
work=${2:-target/verify-long}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"

say() { printf '\n== %s\n' "$*"; }
fresh() { rm -rf "${work:?}/$1"; }

say "commit $(git -C "$root" rev-parse --short HEAD), $(nproc) processors, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-)"

say "HiNet on synth-correlated, three seeds, beside the Bayes AUC"
fresh synth
"$program" synth --config "$root/experiments/synth-correlated.toml" --out "$work/synth" --quiet
for seed in 1 2 3; do
    fresh "synth-hinet-$seed"
    "$program" train "$work/synth/hinet.toml" --out "$work/synth-hinet-$seed" --quiet --set train.seed=$seed
done
fresh synth-linear
"$program" train "$work/synth/hinet.toml" --out "$work/synth-linear" --quiet --set model.preset=logistic_regression

if [ -n "${HINET_SHARED_DATA:-}" ]; then
    for seed in 1 2 3; do
        say "HiNet on KuaiRand, seed $seed"
        fresh "kuairand-$seed"
        "$program" train "$root/experiments/kuairand-hinet.toml" --out "$work/kuairand-$seed" --quiet --set train.seed=$seed \
            --set "data.train=$HINET_SHARED_DATA/kuairand-pure/train.parquet" \
            --set "data.valid=$HINET_SHARED_DATA/kuairand-pure/valid.parquet" \
            --set "data.test=$HINET_SHARED_DATA/kuairand-pure/test.parquet"
    done
else
    say "SKIPPED KuaiRand: set HINET_SHARED_DATA"
fi

# Rows of about 100 bytes as CSV, 40 as Parquet; ids without repetition keep Parquet from shrinking them.
for format in csv parquet; do
    say "200 steps on 5 GB of $format"
    fresh "big-$format"
    if [ "$format" = csv ]; then rows=40000000; else rows=120000000; fi
    "$program" synth --out "$work/big-$format" --quiet --set "format=$format" --set "train_rows=$rows" \
        --set valid_rows=10000 --set test_rows=10000 --set zipf=0 --set users=1000000 --set items=1000000 > /dev/null
    du -sh "$work/big-$format"/train.*
    fresh "big-$format-run"
    "$program" train "$work/big-$format/hinet.toml" --out "$work/big-$format-run" --quiet --set train.max_steps=200
    cat "$work/big-$format-run/timing.json"
    fresh "big-$format"
done

say "hinet convert on 500 MB and 5 GB of Ali-CCP"
(cd "$root" && cargo test --release --locked -p hinet --test cli memory_does_not_grow -- --ignored --nocapture)

if cargo +nightly fuzz --version > /dev/null 2>&1; then
    say "Ten minutes of made-up requests"
    make -C "$root" fuzz
else
    say "SKIPPED made-up requests: needs cargo install cargo-fuzz and a nightly toolchain"
fi
