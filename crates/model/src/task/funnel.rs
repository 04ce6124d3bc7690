//! Tasks in the order that users go through them, such as a click and then an order.

use hinet_data::Layout;

use super::heads::ProductConfig;
use crate::config::bad;
use crate::error::ModelError;

/// Checks that the order of the tasks is told, or needs no telling: two or more tasks of the data, each once.
pub(super) fn check_funnel(layout: &Layout, funnel: &[String]) -> Result<(), ModelError> {
    let names: Vec<&str> = layout.tasks.iter().map(|task| task.name.as_str()).collect();
    let known = format!("two or more of the tasks {}, in the order that users go through them", names.join(", "));
    if funnel.is_empty() && names.len() != 2 {
        let value = format!("missing, and cannot be told from {} tasks", names.len());
        return Err(bad("funnel", value, known));
    }
    let distinct = funnel.iter().enumerate().all(|(place, name)| !funnel[..place].contains(name));
    if funnel.len() == 1 || !distinct || funnel.iter().any(|name| !names.contains(&name.as_str())) {
        return Err(bad("funnel", format!("{funnel:?}"), known));
    }
    Ok(())
}

/// The tasks of a funnel in their order; those of the data, where none are named.
pub(super) fn tasks_of(layout: &Layout, funnel: &[String]) -> Vec<usize> {
    if funnel.is_empty() {
        return (0..layout.tasks.len()).collect();
    }
    funnel.iter().filter_map(|name| layout.tasks.iter().position(|task| task.name == *name)).collect()
}

/// Each task but the first as the product of its own head and those before it.
pub(super) fn products(layout: &Layout, funnel: &[String]) -> Vec<ProductConfig> {
    let names: Vec<String> = tasks_of(layout, funnel).into_iter().map(|task| layout.tasks[task].name.clone()).collect();
    let product = |last: usize| ProductConfig { task: names[last].clone(), of: names[..=last].to_vec() };
    (1..names.len()).map(product).collect()
}
