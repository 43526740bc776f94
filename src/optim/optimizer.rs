//! A rule at work: its state, and the step in place.

use super::clip::{Clip, NonFiniteGradient};
use super::differentiable;
use super::rules::Rule;
use crate::backend::GradClip;
use crate::error::misuse;
use crate::ops::optim::{Row, check_averages, check_moments, gradients, move_average, update};
use crate::{DType, Error, Result, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// The state of one parameter.
#[derive(Default)]
struct State {
    /// Updates so far.
    steps: u64,
    /// The rule's moments by name, in the kernel's order.
    names: Vec<&'static str>,
    moments: Vec<Tensor>,
}

/// A rule with its state for a list of parameters.
///
/// ```
/// use ganvil::optim::{Optimizer, Sgd};
/// use ganvil::{Tensor, autograd::grad};
/// let mut p = Tensor::new(&[3.0f32], &[1]).requires_grad();
/// let mut sgd = Optimizer::new(Sgd { lr: 0.25, ..Sgd::default() });
/// for _ in 0..20 {
///     let grads = grad(&[&p.square().sum_all()], &[&p], &[], false);
///     sgd.step(vec![&mut p], grads); // p <- p / 2
/// }
/// assert_eq!(p.item(), 3.0 / 2f64.powi(20));
/// ```
pub struct Optimizer {
    /// The rule. Its numbers may be changed between steps, but neither which rule it is nor which moments it has.
    pub rule: Rule,
    state: Vec<State>,
}

/// What a step does besides following the rule.
///
/// ```
/// use ganvil::optim::{Clip, StepOptions};
/// let options = StepOptions { clip: Some(Clip::Value { max: 0.1 }), ..StepOptions::default() };
/// assert!(options.ema.is_none());
/// ```
#[derive(Default)]
pub struct StepOptions<'a> {
    /// A bound on the gradients.
    pub clip: Option<Clip>,
    /// Exponential averages of the parameters, in their order, and a decay: avg <- decay avg + (1 - decay) p with the
    /// new p, also where p had no gradient.
    pub ema: Option<(Vec<&'a mut Tensor>, f64)>,
}

impl Optimizer {
    /// An optimiser that has seen nothing.
    ///
    /// # Panics
    /// If a setting is one that [`Rule::check`] refuses; check settings that come from a file before.
    ///
    /// ```
    /// use ganvil::optim::{Adam, Optimizer};
    /// let adam = Optimizer::new(Adam { lr: 2e-4, ..Adam::default() });
    /// assert_eq!(adam.rule.lr(), 2e-4);
    /// ```
    #[track_caller]
    pub fn new(rule: impl Into<Rule>) -> Optimizer {
        let rule = rule.into();
        check_rule("Optimizer::new", &rule);
        Optimizer { rule, state: Vec::new() }
    }

    /// One step: updates each parameter by its gradient, where there is one. `params` and `grads` come in the same
    /// order at every step. A parameter whose value a live graph still holds is replaced, not overwritten.
    ///
    /// # Panics
    /// If the lists differ in length, a gradient in shape, dtype or device from its parameter, a parameter from what it
    /// was at its last update; if a parameter is neither f32 nor f64 or not on the device of the others; if the rule
    /// has become another one or one that [`Rule::check`] refuses. Nothing has been updated then.
    ///
    /// ```
    /// use ganvil::{Tensor, optim::{Optimizer, Sgd}};
    /// let (mut p, mut still) = (Tensor::new(&[1.0f32], &[1]), Tensor::new(&[1.0f32], &[1]));
    /// let mut sgd = Optimizer::new(Sgd { lr: 0.5, ..Sgd::default() });
    /// sgd.step(vec![&mut p, &mut still], vec![Some(Tensor::new(&[1.0f32], &[1])), None]);
    /// assert_eq!((p.item(), still.item()), (0.5, 1.0));
    /// ```
    #[track_caller]
    pub fn step(&mut self, params: Vec<&mut Tensor>, grads: Vec<Option<Tensor>>) {
        let done = self.step_with(params, grads, StepOptions::default());
        done.expect("only a bound on gradients looks whether they are finite");
    }

    /// [`Optimizer::step`] that also bounds the gradients and moves averages of the parameters, all in the same pass.
    /// With a bound it returns the norm of all gradients before it: sqrt(sum of all squares), summed in f64 in an order
    /// that does not depend on the number of threads.
    ///
    /// # Errors
    /// If there is a bound and the gradients hold what it cannot mend. No parameter, moment, average or count has been
    /// changed then.
    ///
    /// # Panics
    /// As [`Optimizer::step`]; also if averages differ in number, shape, dtype or device from the parameters, if the decay
    /// lies outside of [0, 1], or if [`Clip::check`] refuses the bound.
    ///
    /// ```
    /// use ganvil::{Tensor, optim::{Optimizer, Sgd, StepOptions}};
    /// let mut sgd = Optimizer::new(Sgd { lr: 1.0, ..Sgd::default() });
    /// let (mut p, mut average) = (Tensor::new(&[8.0f64], &[1]), Tensor::new(&[8.0f64], &[1]));
    /// let options = StepOptions { ema: Some((vec![&mut average], 0.75)), ..StepOptions::default() };
    /// sgd.step_with(vec![&mut p], vec![Some(Tensor::new(&[4.0f64], &[1]))], options).unwrap();
    /// assert_eq!((p.item(), average.item()), (4.0, 7.0));
    /// ```
    #[track_caller]
    pub fn step_with(
        &mut self,
        params: Vec<&mut Tensor>,
        grads: Vec<Option<Tensor>>,
        options: StepOptions,
    ) -> Result<Option<f64>, NonFiniteGradient> {
        let grads = gradients(&params, grads);
        self.check_state(&params);
        let (averages, decay) = options.ema.unzip();
        if let Some(decay) = decay.filter(|d| !(0.0..=1.0).contains(d)) {
            misuse!("Optimizer::step", "the decay of the average must lie in [0, 1], got {decay}");
        }
        if let Some(averages) = &averages {
            check_averages(&params, averages);
        }
        if let Some(Err(e)) = options.clip.map(|c| c.check()) {
            misuse!("Optimizer::step", "the bound on gradients has {e}");
        }
        let prepared = options.clip.map(|c| c.prepare(&grads)).transpose()?;
        let (clip, norm) = prepared.unzip();
        self.state.resize_with(params.len(), State::default);
        self.apply(params, grads, clip.unwrap_or(GradClip::NONE), averages, decay.unwrap_or(0.0));
        Ok(norm)
    }

    /// Panics unless the rule and the parameters are those of the steps before.
    #[track_caller]
    fn check_state(&self, params: &[&mut Tensor]) {
        check_rule("Optimizer::step", &self.rule);
        if !self.state.is_empty() && self.state.len() != params.len() {
            misuse!(
                "Optimizer::step",
                "{} parameters, {} at the step before; give all parameters at every step, with None for the gradient \
                 of one that has none",
                params.len(),
                self.state.len()
            );
        }
        let names = self.rule.moments();
        for (i, (state, param)) in self.state.iter().zip(params).enumerate().filter(|(_, (s, _))| s.steps > 0)
        {
            if state.names != names {
                misuse!(
                    "Optimizer::step",
                    "the rule has become {:?}, with moments {names:?}; the state holds {:?}. Begin with a new optimiser",
                    self.rule,
                    state.names
                );
            }
            check_moments(i, param, &state.moments);
        }
    }

    /// Updates what has a gradient, and moves the averages of what has none.
    fn apply(
        &mut self,
        params: Vec<&mut Tensor>,
        grads: Vec<Option<Tensor>>,
        clip: GradClip,
        averages: Option<Vec<&mut Tensor>>,
        decay: f64,
    ) {
        let mut averages: Vec<Option<&mut Tensor>> =
            averages.map_or_else(Vec::new, |a| a.into_iter().map(Some).collect());
        averages.resize_with(params.len(), || None);
        let names = self.rule.moments();
        // Parameters that were skipped at some step have an age of their own.
        let mut tables: Vec<((u64, DType), Vec<Row>)> = Vec::new();
        for (((param, grad), state), ema) in params.into_iter().zip(grads).zip(&mut self.state).zip(averages)
        {
            let Some(grad) = grad else {
                if let Some(average) = ema {
                    move_average(average, param, decay);
                }
                continue;
            };
            if state.steps == 0 {
                let zeros = || Tensor::zeros(param.shape(), param.dtype(), param.device());
                (state.names, state.moments) = (names.clone(), names.iter().map(|_| zeros()).collect());
            }
            state.steps += 1;
            let key = (state.steps, param.dtype());
            let row = Row { param, grad, clip, moments: &mut state.moments, ema: ema.map(|e| (e, decay)) };
            match tables.iter_mut().find(|(k, _)| *k == key) {
                Some((_, rows)) => rows.push(row),
                None => tables.push((key, vec![row])),
            }
        }
        for ((t, _), rows) in tables {
            update(self.rule.update(t), rows);
        }
    }

    /// The state as [`differentiable::step`] takes it, for the parameters in the order of the updates; nothing before the
    /// first one. Drop it before the next update, or that has to copy.
    ///
    /// ```
    /// use ganvil::{Tensor, optim::{Adam, Optimizer}};
    /// let mut adam = Optimizer::new(Adam::default());
    /// let (mut p, g) = (Tensor::new(&[1.0f32], &[1]), Tensor::new(&[2.0f32], &[1]));
    /// adam.step(vec![&mut p], vec![Some(g)]);
    /// assert_eq!(adam.states()[0].steps(), 1);
    /// ```
    pub fn states(&self) -> Vec<differentiable::State> {
        self.state.iter().map(|s| differentiable::State::new(s.steps, s.moments.clone())).collect()
    }

    /// The state as named tensors: `{name}.moment{i}` and the step counts `{name}.steps`, for parameters of these
    /// names.
    ///
    /// ```
    /// use ganvil::{Tensor, optim::{Adam, Optimizer}};
    /// let mut adam = Optimizer::new(Adam::default());
    /// let (mut p, g) = (Tensor::new(&[1.0f32], &[1]), Tensor::new(&[2.0f32], &[1]));
    /// adam.step(vec![&mut p], vec![Some(g)]);
    /// let names: Vec<String> = adam.state_dict(&["w".into()]).into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["w.steps", "w.moment0", "w.moment1"]);
    /// ```
    pub fn state_dict(&self, names: &[String]) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        for (name, state) in names.iter().zip(&self.state) {
            all.push((format!("{name}.steps"), Tensor::new(&[state.steps as i64], &[])));
            for (i, m) in state.moments.iter().enumerate() {
                all.push((format!("{name}.moment{i}"), m.clone()));
            }
        }
        all
    }

    /// Takes up the state that [`Optimizer::state_dict`] gave, for parameters of these names; `file` is for messages.
    ///
    /// ```
    /// use ganvil::{Tensor, optim::{Adam, Optimizer}};
    /// let rule = Adam { lr: 0.1, ..Adam::default() };
    /// let (mut adam, names) = (Optimizer::new(rule), ["w".to_owned()]);
    /// let (mut p, g) = (Tensor::new(&[1.0f32], &[1]), Tensor::new(&[2.0f32], &[1]));
    /// adam.step(vec![&mut p], vec![Some(g.clone())]);
    /// let (mut resumed, mut q) = (Optimizer::new(rule), p.clone());
    /// let saved = adam.state_dict(&names).into_iter().collect();
    /// resumed.load_state_dict(&names, &[&q.clone()], &saved, "saved.safetensors".as_ref())?;
    /// adam.step(vec![&mut p], vec![Some(g.clone())]);
    /// resumed.step(vec![&mut q], vec![Some(g)]);
    /// assert_eq!(p.to_vec::<f32>(), q.to_vec::<f32>());
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a moment or a count of steps is missing, or is not what this rule has for the parameter. Nothing is changed
    /// then.
    pub fn load_state_dict(
        &mut self,
        names: &[String],
        params: &[&Tensor],
        tensors: &HashMap<String, Tensor>,
        file: &Path,
    ) -> Result<()> {
        let counts = names.iter().filter(|name| tensors.contains_key(&format!("{name}.steps"))).count();
        // An optimiser that has made no step has no state.
        if counts == 0 {
            self.state.clear();
            return Ok(());
        }
        let states = names.iter().zip(params).map(|(name, param)| self.state_of(name, param, tensors, file));
        self.state = states.collect::<Result<_>>()?;
        Ok(())
    }

    fn state_of(
        &self,
        name: &str,
        param: &Tensor,
        tensors: &HashMap<String, Tensor>,
        file: &Path,
    ) -> Result<State> {
        let bad = |problem: String| Error::format(file, problem);
        let get = |name: String| tensors.get(&name).ok_or_else(|| bad(format!("has no tensor '{name}'")));
        let count = get(format!("{name}.steps"))?;
        let steps = match (count.dtype(), count.numel()) {
            (DType::I64, 1) => u64::try_from(count.to_vec::<i64>()[0]).ok(),
            _ => None,
        };
        let steps = steps.filter(|n| *n < 1 << 53);
        let steps = steps.ok_or_else(|| bad(format!("tensor '{name}.steps' is no number of steps")))?;
        if steps == 0 {
            return Ok(State::default());
        }
        let names = self.rule.moments();
        let moment = |i: usize| {
            let moment = get(format!("{name}.moment{i}"))?;
            if (moment.shape(), moment.dtype()) != (param.shape(), param.dtype()) {
                return Err(bad(format!(
                    "tensor '{name}.moment{i}' is {:?} {}, its parameter {:?} {}",
                    moment.shape(),
                    moment.dtype(),
                    param.shape(),
                    param.dtype()
                )));
            }
            Ok(moment.to_device(param.device()))
        };
        let moments = (0..names.len()).map(moment).collect::<Result<_>>()?;
        if tensors.contains_key(&format!("{name}.moment{}", names.len())) {
            return Err(bad(format!("'{name}' has more moments than {:?} keeps", self.rule)));
        }
        Ok(State { steps, names, moments })
    }
}

#[track_caller]
pub(super) fn check_rule(op: &str, rule: &Rule) {
    if let Err(e) = rule.check() {
        misuse!(op, "{rule:?} has {e}");
    }
}
