//! The reports in a real browser, opened from disk with the network off.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::place::Place;
use crate::skip;

/// Looks at the page from inside and writes what it saw into its title, which a dump of the document then shows. Only
/// the copy that the test makes has it: the report itself has no script.
const LOOK: &str = r##"<script>
const light = colour => {
  const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const ground = node => {
  for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (!/, 0\)$|transparent/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const contrast = node => {
  const [a, b] = [light(getComputedStyle(node).color), light(ground(node))];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
};
const seen = node => { const box = node.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
const cells = [...document.querySelectorAll("td[data-metric]")];
const heats = [...document.querySelectorAll("table.heat tbody td:not(.gap)")];
const words = [...document.querySelectorAll("p, h1, h2, h3, th, td, li, dt, dd, summary, a")].filter(node => node.textContent.trim() && seen(node));
const worst = words.reduce((worst, node) => { const found = contrast(node); return found < worst.contrast ? { contrast: found, text: node.textContent.slice(0, 40), name: node.className } : worst; }, { contrast: 21 });
const grid = id => [...document.querySelectorAll("#" + id + " tbody tr")].map(row => [...row.querySelectorAll("th, td:not(.gap)")].map(cell => cell.innerText.trim()));
const result = {
  numbers: cells.filter(seen).map(cell => [cell.dataset.metric, cell.dataset.task, cell.dataset.scenario ?? null, cell.innerText.trim()]),
  auc: grid("auc"), models: grid("models"), attention: grid("attention-0"), gates: [...document.querySelectorAll("[id^=gate-]")].map(table => [table.id, grid(table.id)]),
  unseen: cells.concat(heats).filter(cell => !seen(cell)).length,
  drawings: [...document.querySelectorAll("svg")].filter(seen).length,
  scrolling: [...document.querySelectorAll(".wide")].filter(node => node.scrollWidth > node.clientWidth).map(node => node.innerText.slice(0, 60)),
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  worst, dark: matchMedia("(prefers-color-scheme: dark)").matches,
  loaded: performance.getEntriesByType("resource").length,
};
document.body.innerHTML = "";
document.body.append("LOOKED" + JSON.stringify(result) + "LOOKED");
</script></body>"##;

#[test]
fn a_browser_shows_the_numbers_of_metrics_json_in_light_and_dark_and_loads_nothing() {
    let Some(browser) =
        skip::browser("a_browser_shows_the_numbers_of_metrics_json_in_light_and_dark_and_loads_nothing")
    else {
        return;
    };
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    place.succeeds("inspect run --importance --report --quiet");
    let page = place.read("run/report.html");
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"), "the page is not alone");
    place.write("look.html", &page.replace("</body>", LOOK));
    let metrics: Value = serde_json::from_str(&place.read("run/metrics.json")).expect("JSON");
    let inspection: Value = serde_json::from_str(&place.read("run/inspection.json")).expect("JSON");
    for dark in [false, true] {
        let seen = look(&browser, &place.path("look.html"), dark);
        is_readable(&seen, dark);
        assert!(seen["drawings"].as_u64() > Some(8), "{} drawings", seen["drawings"]);
        tables_hold_metrics(&seen["numbers"], &metrics["splits"]["test"]);
        heat_maps_hold_their_numbers(&seen, &metrics["splits"]["test"], &inspection);
    }
}

#[test]
fn a_browser_shows_eleven_models_and_three_tasks_side_by_side_without_scrolling() {
    let Some(browser) = skip::browser("a_browser_shows_eleven_models_and_three_tasks_side_by_side_without_scrolling")
    else {
        return;
    };
    let place = Place::with_data();
    place.write("hinet.toml", &(place.read("hinet.toml") + "\n[[task]]\nname = \"buy\"\nlabel = \"is_order\"\n"));
    let models = "hinet,shared_bottom,omoe,mmoe,ple,hmoe,star,single,single_task,single_scenario,logistic";
    let words = format!("compare hinet.toml --models {models} --seeds 2 --set train.epochs=1 --draws 100 --out all");
    place.succeeds(&format!("{words} --threads 2 --quiet"));
    place.write("look.html", &place.read("all/report.html").replace("</body>", LOOK));
    let found: Value = serde_json::from_str(&place.read("all/compare.json")).expect("JSON");
    for dark in [false, true] {
        let seen = look(&browser, &place.path("look.html"), dark);
        is_readable(&seen, dark);
        let shown: Vec<&Vec<Value>> = rows(&seen["models"]).collect();
        assert_eq!(shown.len(), 11);
        for (row, model) in shown.iter().zip(found["models"].as_array().expect("models")) {
            let auc = &model["mean_auc"];
            let told = format!("{} ±\u{a0}{}", told(&auc["mean"], 4), told(&auc["deviation"], 4));
            assert_eq!(row[2], told, "{}", model["name"]);
        }
    }
}

/// What holds of every page: nothing is hidden, cut off, pale or loaded, and nothing scrolls sideways.
fn is_readable(seen: &Value, dark: bool) {
    assert_eq!(seen["dark"], dark, "the browser did not take the colour scheme");
    assert_eq!((&seen["unseen"], &seen["loaded"]), (&0.into(), &0.into()), "unseen cells, or something was loaded");
    assert!(seen["wide"].as_i64() <= Some(0), "the page is {} wider than the window", seen["wide"]);
    assert_eq!(seen["scrolling"], serde_json::json!([]), "a table is wider than the page");
    assert!(seen["worst"]["contrast"].as_f64() >= Some(4.5), "hard to read: {}", seen["worst"]);
}

/// What the page said of itself.
fn look(browser: &Path, page: &Path, dark: bool) -> Value {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"]);
    // No name resolves: whatever the page would load from elsewhere fails.
    command.args(["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=2000"]);
    command.args(dark.then_some("--force-dark-mode"));
    let url = format!("file://{}", page.display());
    let output = command.args(["--dump-dom", &url]).output().expect("the browser starts");
    let document = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = document.split("LOOKED").nth(1).unwrap_or_else(|| {
        panic!("the browser shows no page: {document}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    let said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u{a0}").replace("&amp;", "&");
    serde_json::from_str(&said).expect("JSON")
}

fn told(value: &Value, places: usize) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |value| format!("{value:.places$}"))
}

fn cells(split: &Value) -> impl Iterator<Item = &Value> {
    ["cells", "overall"].into_iter().flat_map(|key| split[key].as_array().expect("cells"))
}

fn tables_hold_metrics(numbers: &Value, split: &Value) {
    let numbers = numbers.as_array().expect("numbers");
    for cell in cells(split) {
        for (metric, places) in [("auc", 4), ("gauc", 4), ("logloss", 4), ("pcoc", 3), ("ece", 4)] {
            let wanted = serde_json::json!([metric, cell["task"], cell["scenario"], told(&cell[metric], places)]);
            assert!(numbers.contains(&wanted), "{wanted} is not shown");
        }
    }
}

fn heat_maps_hold_their_numbers(seen: &Value, split: &Value, inspection: &Value) {
    let shown: Vec<&Value> = rows(&seen["auc"]).flat_map(|row| &row[1..]).collect();
    let aucs: Vec<String> = cells(split).map(|cell| told(&cell["auc"], 4)).collect();
    assert_eq!(shown, aucs.iter().map(String::as_str).collect::<Vec<_>>());

    let percent = |weight: &Value| told(&(100.0 * weight.as_f64().expect("a weight")).into(), 0);
    let weights = inspection["attention"][0]["weights"].as_array().expect("attention");
    let weights: Vec<String> = weights.iter().flat_map(|row| row.as_array().expect("a row")).map(percent).collect();
    let shown: Vec<&Value> = rows(&seen["attention"]).flat_map(|row| &row[1..]).collect();
    assert_eq!(shown, weights.iter().map(String::as_str).collect::<Vec<_>>());

    let gates = inspection["gates"].as_array().expect("gates");
    assert_eq!(seen["gates"].as_array().map(Vec::len), Some(gates.len()));
    for (gate, shown) in gates.iter().zip(seen["gates"].as_array().expect("gates")) {
        let lines = gate["lines"].as_array().expect("lines").iter();
        let weights: Vec<String> =
            lines.flat_map(|line| line["weights"].as_array().expect("weights")).map(percent).collect();
        let shown: Vec<&Value> = rows(&shown[1]).flat_map(|row| &row[1..]).collect();
        assert_eq!(shown, weights.iter().map(String::as_str).collect::<Vec<_>>(), "{}", gate["name"]);
    }
}

fn rows(grid: &Value) -> impl Iterator<Item = &Vec<Value>> {
    grid.as_array().expect("a grid").iter().map(|row| row.as_array().expect("a row"))
}
