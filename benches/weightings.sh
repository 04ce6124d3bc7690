#!/bin/sh
# The eight weightings of losses on data with a known conflict, five seeds each; docs/results.md shows the tables.
#   benches/weightings.sh FOLDER [PROGRAM]
# Writes FOLDER/data, the runs, and a comparison for each of two settings:
#   apart   both tasks weigh the same and want opposite things of a small network that they share
#   uneven  the same, and `like` weighs a fiftieth: a weighting that balances objectives has to give it back its say
set -eu
folder=$1
mkdir -p "$folder"
hinet=${2:-target/release/hinet}
"$hinet" synth --quiet --preset conflict --rows 40000 --seed 3 --set task_correlation=-0.9 --set seesaw=0.2 --out "$folder/data" > "$folder/truth.txt"
for setting in apart uneven; do
    runs=""
    mkdir -p "$folder/$setting"
    for kind in fixed uncertainty gradnorm dwa pcgrad cagrad mgda famo; do
        for seed in 1 2 3 4 5; do
            out="$folder/$setting/$kind-$seed"
            set -- --set name=\"$kind\" --set train.seed=$seed --set "train.weighting={ kind = \"$kind\" }" \
                --set "model={ preset = \"shared_bottom\", bottom_units = [8], tower_units = [], task_scope = \"task\" }" \
                --set train.epochs=8 --set train.patience=3
            if [ $setting = uneven ]; then set -- "$@" --set task.1.weight=0.02; fi
            "$hinet" train --quiet "$folder/data/hinet.toml" "$@" --out "$out" > "$out.txt" 2>&1 || { cat "$out.txt"; exit 1; }
            runs="$runs $out"
        done
    done
    # shellcheck disable=SC2086
    "$hinet" compare $runs --against fixed > "$folder/$setting.txt"
done
cat "$folder/apart.txt" "$folder/uneven.txt"
