//! What of gates and experts a user should be warned of.

use super::{Expert, Gate, Inspection};

/// A gate that gives one of several experts more than this has collapsed.
const NEARLY_ALL: f64 = 0.95;

/// An expert that gets less than this share of what would be fair goes unused.
pub(super) const UNUSED: f64 = 0.1;

/// An expert of which more units than this are dead has little left to say.
pub(super) const MOSTLY_DEAD: f64 = 0.5;

/// On fewer rows a unit that is 0 on all of them may be rare rather than dead.
const ENOUGH_ROWS: u64 = 200;

/// A line for each kind of collapse of each gate or bank of experts, with the worst case and how many there are.
pub(super) fn warnings(seen: &Inspection) -> Vec<String> {
    let gates = seen.gates.iter().filter_map(collapsed_gate);
    let banks = seen.experts.chunk_by(|a, b| a.bank == b.bank);
    gates.chain(banks.flat_map(|experts| [unused(experts), dead(experts)]).flatten()).collect()
}

fn collapsed_gate(gate: &Gate) -> Option<String> {
    let heaviest = |line: &super::GateLine| {
        let top = line.weights.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let weighs = line.weights.iter().sum::<f64>() < 1.5 && line.weights.len() > 1;
        (weighs && top.1 > NEARLY_ALL).then_some(top)
    };
    let collapsed: Vec<_> = gate.lines.iter().filter_map(|line| Some((line, heaviest(line)?))).collect();
    let (line, (expert, weight)) = collapsed.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    let task = line.task.as_ref().map_or(String::new(), |task| format!(", task {task}"));
    Some(format!(
        "gate {}: {} of {} mixtures give more than {:.0}% to one expert; scenario {}{task} gives {:.1}% to {}",
        gate.name,
        collapsed.len(),
        gate.lines.len(),
        100.0 * NEARLY_ALL,
        line.scenario,
        100.0 * weight,
        gate.experts[*expert],
    ))
}

fn unused(experts: &[Expert]) -> Option<String> {
    let share = |expert: &Expert| expert.weight.filter(|_| expert.fair > 0.0 && expert.fair < 1.0);
    let share = |expert: &Expert| share(expert).map(|weight| weight / expert.fair).filter(|share| *share < UNUSED);
    let (count, worst) = worst(experts, |expert| share(expert).map(|share| -share))?;
    Some(format!(
        "experts {}: {count} of {} get less than a tenth of a fair share of their gates' weight; {} gets {:.2}%",
        worst.bank,
        experts.len(),
        called(worst),
        100.0 * worst.weight.unwrap_or(0.0),
    ))
}

fn dead(experts: &[Expert]) -> Option<String> {
    let share = |expert: &Expert| expert.dead_units as f64 / expert.units.max(1) as f64;
    let is_dead = |expert: &Expert| expert.rows >= ENOUGH_ROWS && share(expert) > MOSTLY_DEAD;
    let (count, worst) = worst(experts, |expert| is_dead(expert).then(|| share(expert)))?;
    Some(format!(
        "experts {}: {count} of {} have mostly dead units; {} of the {} units of {} are 0 on every row",
        worst.bank,
        experts.len(),
        worst.dead_units,
        worst.units,
        called(worst),
    ))
}

/// How many experts are bad, and the one that is most so.
fn worst(experts: &[Expert], bad: impl Fn(&Expert) -> Option<f64>) -> Option<(usize, &Expert)> {
    let found: Vec<_> = experts.iter().filter_map(|expert| Some((bad(expert)?, expert))).collect();
    let (_, worst) = found.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some((found.len(), worst))
}

fn called(expert: &Expert) -> String {
    let owners = [("scenario", &expert.scenario), ("task", &expert.task)];
    let owners = owners.iter().filter_map(|(kind, name)| name.as_ref().map(|name| format!("{kind} {name}, ")));
    owners.collect::<String>() + &format!("number {}", expert.number)
}

#[cfg(test)]
mod tests {
    use super::super::GateLine;
    use super::*;

    fn expert(number: usize, weight: f64, dead_units: usize) -> Expert {
        Expert {
            bank: "task.shared".into(),
            scenario: None,
            task: None,
            number,
            rows: 1000,
            weight: Some(weight),
            fair: 0.5,
            zeros: Some(0.5),
            dead_units,
            units: 8,
        }
    }

    fn inspection(weights: [f64; 2], experts: Vec<Expert>) -> Inspection {
        let line = GateLine { scenario: "home".into(), task: Some("click".into()), weights: weights.into() };
        let gates = vec![Gate { name: "task.gate".into(), experts: vec!["a".into(), "b".into()], lines: vec![line] }];
        Inspection { gates, experts, ..Inspection::default() }
    }

    #[test]
    fn healthy_gates_and_experts_give_no_warning() {
        let healthy = inspection([0.6, 0.4], vec![expert(1, 0.6, 0), expert(2, 0.4, 4)]);
        assert_eq!(warnings(&healthy), [""; 0]);
    }

    #[test]
    fn a_collapsed_gate_an_unused_and_a_dead_expert_are_each_named() {
        let bad = inspection([0.98, 0.02], vec![expert(1, 0.98, 0), expert(2, 0.02, 7)]);
        let warnings = warnings(&bad);
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[0].contains("scenario home, task click gives 98.0% to a"), "{}", warnings[0]);
        assert!(warnings[1].contains("number 2 gets 2.00%"), "{}", warnings[1]);
        assert!(warnings[2].contains("7 of the 8 units of number 2"), "{}", warnings[2]);
    }

    #[test]
    fn a_gate_that_adds_experts_up_is_not_one_that_collapsed() {
        let adds = inspection([1.0, 1.0], vec![expert(1, 1.0, 0), expert(2, 1.0, 0)]);
        assert_eq!(warnings(&adds), [""; 0]);
    }
}
