"""What `make wheel` asks of a wheel in a clean environment: three lines on a pandas frame train HiNet and print the cells."""

import numpy
import pandas

import hinet

draw = numpy.random.default_rng(1)
user, tab = draw.integers(0, 50, 4000), draw.choice(["home", "search"], 4000)
click = draw.random(4000) < 0.2 + 0.6 * (user % 2)
clicks = pandas.DataFrame({"user_id": user, "tab": tab, "is_click": click.astype(int), "is_like": (click & (draw.random(4000) < 0.5)).astype(int)})

ranker = hinet.Ranker(scenario="tab", tasks=["is_click", "is_like"]).fit(clicks)
print(ranker.metrics_["test"])
print(f"hinet {hinet.__version__} of {hinet.__file__}")
assert ranker.metrics_["test"].mean_auc > 0.65
assert ranker.predict_proba(clicks.head(3)).shape == (3, 2)
