"""Time Vowpal Wabbit reading its text format and learning on the way: learn_vw.py FILE -> one line of JSON."""

import pathlib
import sys
import time

from vowpalwabbit import Workspace
from worker import print_result


def main():
    path = sys.argv[1]
    with pathlib.Path(path).open("rb") as file:
        rows = sum(1 for _ in file)
    begin = time.perf_counter()
    # With `--data` it reads, parses and learns without Python in between.
    workspace = Workspace(arg_list=["--data", path, "--loss_function", "logistic", "--bit_precision", "18", "--quiet"])
    seen, loss = workspace.get_weighted_examples(), workspace.get_sum_loss()
    workspace.finish()
    speed = round(rows / (time.perf_counter() - begin))
    if seen != rows:
        sys.exit(f"{path} has {rows} rows, Vowpal Wabbit learnt from {seen}")
    print_result(rows_per_s=speed, all_rows_per_s=speed, rows=rows, loss=round(loss / rows, 4))


if __name__ == "__main__":
    main()
