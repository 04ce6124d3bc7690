"use strict";
// The page of a hinet server: reads /page/models, /metrics and /explain of its own origin, and nothing else.

const element = (id) => document.getElementById(id);
const WINDOW_MS = 10000;
let models = [];
let items = 2;
const history = [];

function cell(row, content, number) {
  const made = row.insertCell();
  if (number) made.className = "number";
  made.append(content);
  return made;
}

function head(table, titles) {
  const row = document.createElement("tr");
  for (const title of titles) {
    const made = document.createElement("th");
    made.append(title);
    row.append(made);
  }
  table.tHead.replaceChildren(row);
}

// ---- metrics

function parse(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, letter) => (letter === "n" ? "\n" : letter));
    }
    found.push({ name: match[1], labels, value: Number(match[3]) });
  }
  return found;
}

const key = (sample) => sample.name + JSON.stringify(sample.labels);

// Values of now less those of ten seconds ago, per metric.
function changes(now) {
  const time = Date.now();
  history.push({ time, values: new Map(now.map((sample) => [key(sample), sample.value])) });
  while (history.length > 1 && time - history[1].time >= WINDOW_MS) history.shift();
  const before = history[0];
  const seconds = Math.max((time - before.time) / 1000, 1e-3);
  return { seconds, of: (sample) => sample.value - (before.values.get(key(sample)) ?? 0) };
}

// The upper bound of the bucket in which the quantile lies.
function quantile(buckets, q) {
  const all = buckets.length ? buckets[buckets.length - 1].count : 0;
  if (!all) return "–";
  const bound = buckets.find((bucket) => bucket.count >= q * all).bound;
  return bound === Infinity ? "> 5000" : "≤ " + (bound * 1000).toPrecision(3).replace(/\.?0+$/, "");
}

function showLatency(samples, change) {
  const paths = new Map();
  for (const sample of samples) {
    const path = sample.labels.path;
    if (!path || path.startsWith("/page") || path === "/" || path === "/metrics") continue;
    if (!paths.has(path)) paths.set(path, { buckets: [], requests: 0, refused: 0 });
    const entry = paths.get(path);
    if (sample.name === "hinet_request_seconds_bucket") {
      entry.buckets.push({ bound: sample.labels.le === "+Inf" ? Infinity : Number(sample.labels.le), count: change.of(sample) });
    } else if (sample.name === "hinet_request_seconds_count") {
      entry.requests = change.of(sample);
    } else if (sample.name === "hinet_requests_total") {
      const code = Number(sample.labels.code);
      if (path.includes("Service/") || path.includes("Health/") ? code !== 0 : code >= 400) entry.refused += sample.value;
    }
  }
  const rows = [];
  for (const [path, entry] of [...paths].sort()) {
    entry.buckets.sort((a, b) => a.bound - b.bound);
    const row = document.createElement("tr");
    cell(row, path);
    cell(row, (entry.requests / change.seconds).toFixed(1), true);
    cell(row, quantile(entry.buckets, 0.5), true);
    cell(row, quantile(entry.buckets, 0.99), true);
    cell(row, String(entry.refused), true);
    rows.push(row);
  }
  element("latency").tBodies[0].replaceChildren(...rows);
}

function showTraffic(samples, change) {
  const rows = [];
  const totals = samples.filter((sample) => sample.name === "hinet_rows_total" && sample.value > 0);
  totals.sort((a, b) => b.value - a.value);
  for (const sample of totals.slice(0, 30)) {
    const row = document.createElement("tr");
    cell(row, sample.labels.model);
    cell(row, sample.labels.version);
    cell(row, sample.labels.scenario);
    cell(row, (change.of(sample) / change.seconds).toFixed(1), true);
    cell(row, String(sample.value), true);
    rows.push(row);
  }
  element("traffic").tBodies[0].replaceChildren(...rows);
}

async function watch() {
  try {
    const samples = parse(await (await fetch("/metrics")).text());
    const change = changes(samples);
    showLatency(samples, change);
    showTraffic(samples, change);
    const ready = (await fetch("/v2/health/ready")).ok;
    element("state").textContent = ready ? "ready" : "not ready";
  } catch (error) {
    element("state").textContent = "the server does not answer";
  }
  setTimeout(watch, 2000);
}

// ---- models and the form

async function load() {
  models = await (await fetch("/page/models")).json();
  const index = await (await fetch("/v2/repository/index", { method: "POST" })).json();
  const rows = index.map((line) => {
    const row = document.createElement("tr");
    const model = models.find((model) => model.name === line.name);
    cell(row, line.name);
    cell(row, line.version);
    cell(row, line.reason ? `${line.state}: ${line.reason}` : line.state);
    cell(row, model ? model.tasks.join(", ") : "");
    cell(row, model ? String(model.scenarios.length) : "", true);
    return row;
  });
  element("models").tBodies[0].replaceChildren(...rows);
  options(element("model"), models.map((model) => model.name));
  choose();
}

function options(select, values, first) {
  select.replaceChildren(...(first ? [new Option(first, "")] : []), ...values.map((value) => new Option(value, value)));
}

const chosen = () => models.find((model) => model.name === element("model").value);

function choose() {
  const model = chosen();
  if (!model) return;
  options(element("version"), model.versions, "(as shared out)");
  options(element("scenario"), model.scenarios);
  element("score").value = model.score ?? "";
  fields();
}

// A column for the user and one for each item; a feature stands in the one or in the others.
function fields() {
  const kept = new Map([...document.querySelectorAll("#fields input")].map((input) => [input.name, input.value]));
  const inputs = chosen().inputs.filter((input) => input.kind !== "scenario");
  head(element("fields"), ["feature", "user", ...Array.from({ length: items }, (_, at) => `item ${at + 1}`)]);
  const rows = inputs.map((input) => {
    const row = document.createElement("tr");
    cell(row, input.name + (input.optional ? "" : " *"));
    for (let place = 0; place <= items; place++) {
      const field = document.createElement("input");
      field.name = `${place}/${input.name}`;
      field.value = kept.get(field.name) ?? "";
      field.placeholder = input.examples[Math.max(place - 1, 0)] ?? (input.kind === "number" ? "a number" : "");
      field.setAttribute("aria-label", `${input.name} of ${place ? `item ${place}` : "the user"}`);
      cell(row, field);
    }
    return row;
  });
  element("fields").tBodies[0].replaceChildren(...rows);
}

function value(input, text) {
  if (input.kind === "number" && text.trim() !== "" && !Number.isNaN(Number(text))) return Number(text);
  return text;
}

function body() {
  const model = chosen();
  const of = (place) => {
    const said = {};
    for (const input of model.inputs) {
      const text = element("try").elements[`${place}/${input.name}`]?.value ?? "";
      if (text !== "") said[input.name] = value(input, text);
    }
    return said;
  };
  const request = { model: model.name, scenario: element("scenario").value, user: of(0), items: [] };
  for (let place = 1; place <= items; place++) request.items.push({ id: place, ...of(place) });
  if (element("version").value) request.version = element("version").value;
  if (element("score").value.trim()) request.score = element("score").value;
  return request;
}

function bar(number, most) {
  const made = document.createElement("span");
  const line = document.createElement("span");
  line.className = "bar";
  line.style.width = `${Math.round((60 * number) / (most || 1))}px`;
  made.append(line, number.toPrecision(4));
  return made;
}

function show(answer) {
  const tasks = Object.keys(answer.items[0]?.scores ?? {});
  const scored = answer.items.some((item) => "score" in item);
  head(element("scores"), ["item", ...tasks.map((task) => `p(${task})`), ...(scored ? ["score"] : [])]);
  element("scores").tBodies[0].replaceChildren(...answer.items.map((item) => {
    const row = document.createElement("tr");
    cell(row, String(item.id));
    for (const task of tasks) cell(row, bar(item.scores[task], 1));
    if (scored) cell(row, item.score === null ? "none" : item.score.toPrecision(4), true);
    return row;
  }));
  element("gates").replaceChildren(...answer.items.map(gates));
  element("answer").hidden = false;
}

function gates(item) {
  const part = document.createElement("div");
  part.className = "wide";
  const title = document.createElement("h4");
  title.append(`item ${item.id}`);
  const table = document.createElement("table");
  for (const gate of item.gates) {
    const row = table.insertRow();
    cell(row, gate.attention ? `attention ${gate.name}` : `gate ${gate.name}${gate.task ? `, ${gate.task}` : ""}`);
    for (const weight of gate.weights) {
      const made = cell(row, bar(weight.weight, 1));
      made.append(document.createElement("br"), weight.expert);
    }
  }
  part.append(title, table);
  return part;
}

async function score(event) {
  event.preventDefault();
  element("problem").textContent = "";
  const response = await fetch("/explain", { method: "POST", body: JSON.stringify(body()) });
  const answer = await response.json();
  if (response.ok) show(answer);
  else element("problem").textContent = answer.error;
}

element("model").addEventListener("change", choose);
element("more").addEventListener("click", () => { items = Math.min(items + 1, 20); fields(); });
element("try").addEventListener("submit", score);
load().then(watch, () => { element("state").textContent = "the server does not answer"; });
