//! Learning rates over the steps.

use serde::{Deserialize, Serialize};

use super::config::{DenseOptimiserConfig, OptimiserError, ScheduleKind};

/// The learning rate of each step. All but plateau depend on the step alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    kind: ScheduleKind,
    base: f64,
    warm_up: u64,
    steps: u64,
    factor: f64,
    floor: f64,
    patience: u64,
    state: ScheduleState,
}

/// What a plateau remembers, for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// Best metric so far.
    pub best: Option<f64>,
    /// Reports since then that brought nothing better.
    pub stale: u64,
    /// Share of the learning rate that is left.
    pub share: f64,
}

impl Schedule {
    /// The schedule of these settings.
    ///
    /// # Errors
    /// If the settings are refused by [`DenseOptimiserConfig::check`].
    pub fn new(config: &DenseOptimiserConfig) -> Result<Schedule, OptimiserError> {
        config.check()?;
        let factor = if config.schedule == ScheduleKind::Step { 0.1 } else { 0.5 };
        Ok(Schedule {
            kind: config.schedule,
            base: f64::from(config.learning_rate),
            warm_up: config.warm_up_steps,
            steps: config.schedule_steps.unwrap_or(1).max(1),
            factor: config.schedule_factor.map_or(factor, f64::from),
            floor: config.schedule_floor.map_or(0.0, f64::from),
            patience: config.schedule_patience.unwrap_or(2),
            state: ScheduleState { best: None, stale: 0, share: 1.0 },
        })
    }

    /// Learning rate of a step, counted from 0.
    #[must_use]
    pub fn rate(&self, step: u64) -> f32 {
        if step < self.warm_up {
            return (self.base * (step + 1) as f64 / self.warm_up as f64) as f32;
        }
        let after = (step - self.warm_up) as f64;
        let part = after / self.steps as f64;
        let share = match self.kind {
            ScheduleKind::Constant | ScheduleKind::WarmUp => 1.0,
            ScheduleKind::Cosine => {
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * part.min(1.0)).cos());
                self.floor + (1.0 - self.floor) * cosine
            }
            ScheduleKind::Step => self.factor.powf(part.floor()).max(self.floor),
            ScheduleKind::Exponential => self.factor.powf(part).max(self.floor),
            ScheduleKind::Plateau => self.state.share,
        };
        (self.base * share) as f32
    }

    /// Tells a plateau the newest metric, of which more is better. Does nothing for the others.
    pub fn report(&mut self, metric: f64) {
        if self.kind != ScheduleKind::Plateau {
            return;
        }
        let state = &mut self.state;
        if state.best.is_none_or(|best| metric > best) {
            (state.best, state.stale) = (Some(metric), 0);
            return;
        }
        state.stale += 1;
        if state.stale > self.patience {
            (state.share, state.stale) = ((state.share * self.factor).max(self.floor), 0);
        }
    }

    /// What to keep in a checkpoint.
    #[must_use]
    pub fn state(&self) -> ScheduleState {
        self.state
    }

    /// Takes up the state of a checkpoint.
    pub fn load_state(&mut self, state: ScheduleState) {
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(change: impl FnOnce(&mut DenseOptimiserConfig)) -> Schedule {
        let mut config = DenseOptimiserConfig { learning_rate: 1.0, ..DenseOptimiserConfig::default() };
        change(&mut config);
        Schedule::new(&config).unwrap()
    }

    #[test]
    fn warm_up_rises_evenly_and_combines_with_the_others() {
        let warm = schedule(|c| (c.schedule, c.warm_up_steps) = (ScheduleKind::WarmUp, 4));
        assert_eq!([0, 1, 3, 4, 99].map(|s| warm.rate(s)), [0.25, 0.5, 1.0, 1.0, 1.0]);
        let both = schedule(|c| {
            (c.schedule, c.schedule_steps, c.warm_up_steps) = (ScheduleKind::Cosine, Some(10), 2);
        });
        assert_eq!([0, 1, 2, 7, 12, 50].map(|s| (both.rate(s) * 100.0).round()), [50.0, 100.0, 100.0, 50.0, 0.0, 0.0]);
    }

    #[test]
    fn step_and_exponential_fall_by_their_factor_and_stop_at_the_floor() {
        let step = schedule(|c| {
            (c.schedule, c.schedule_steps, c.schedule_floor) = (ScheduleKind::Step, Some(10), Some(0.05));
        });
        assert_eq!([0, 9, 10, 19, 20].map(|s| (step.rate(s) * 1000.0).round()), [1000.0, 1000.0, 100.0, 100.0, 50.0]);
        let smooth = schedule(|c| (c.schedule, c.schedule_steps) = (ScheduleKind::Exponential, Some(10)));
        assert!((smooth.rate(5) - 0.5_f32.sqrt()).abs() < 1e-6 && smooth.rate(10) == 0.5);
    }

    #[test]
    fn a_plateau_falls_when_its_patience_ends_and_starts_to_count_again() {
        let mut plateau = schedule(|c| (c.schedule, c.schedule_patience) = (ScheduleKind::Plateau, Some(1)));
        let rates: Vec<f32> = [0.5, 0.6, 0.6, 0.55, 0.61, 0.6, f64::NAN, 0.6]
            .map(|metric| {
                plateau.report(metric);
                plateau.rate(3)
            })
            .to_vec();
        assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]);
        let mut other = schedule(|c| c.schedule = ScheduleKind::Plateau);
        other.load_state(plateau.state());
        assert_eq!(other.rate(0), 0.25);
    }
}
