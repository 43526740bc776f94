//! A discriminator that is trained by itself, between distributions that stand still.

use super::Options;
use crate::gan::{Network, gradient_penalty};
use crate::nn::{Ctx, LayerSpec, Module, gradients, parameters_mut, to_device};
use crate::optim::{Adam, Ema, Optimizer, Schedule, StepOptions};
use crate::rng::Stream;
use crate::{DType, Device, Generator, Tensor, no_grad};

/// What D minimises, for its outputs on real and on fake samples.
pub(super) type Objective<'a> = &'a dyn Fn(&Tensor, &Tensor) -> Tensor;

/// How D is trained.
pub(super) struct Lessons<'a> {
    pub objective: Objective<'a>,
    /// Weight of WGAN-GP's penalty.
    pub gradient_penalty: Option<f64>,
    pub lr: f64,
    /// The learning rate's course, from step 0 of these lessons.
    pub schedule: Schedule,
}

/// D with its optimiser and a moving average of its weights, which gives the smoother judgement.
pub(super) struct Judge {
    net: Network,
    average: Network,
    adam: Optimizer,
    penalty: Generator,
    /// Samples seen.
    seen: f64,
    device: Device,
}

impl Judge {
    /// Two hidden layers of `width` units. The activation is smooth where D's slope is of interest.
    pub fn new(inputs: usize, width: usize, activation: LayerSpec, options: &Options) -> Judge {
        let &Options { seed, device } = options;
        let init = Generator::new(seed, Stream::Init);
        let layers = [
            LayerSpec::linear(inputs, width),
            activation.clone(),
            LayerSpec::linear(width, width),
            activation,
            LayerSpec::linear(width, 1),
        ];
        let mut net = Network::new("D", &layers, &init);
        to_device(&mut net, device);
        let adam = Optimizer::new(Adam { betas: (0.5, 0.99), ..Adam::default() });
        let penalty = Generator::new(seed, Stream::Penalty);
        Judge { average: net.clone(), net, adam, penalty, seen: 0.0, device }
    }

    /// `steps` updates on the batches of real and fake samples that `draw` gives.
    pub fn learn(&mut self, lessons: &Lessons, steps: u64, draw: &mut dyn FnMut() -> (Tensor, Tensor)) {
        let ema = Ema { half_life_kimg: 25.0, rampup: 0.1 };
        for step in 0..steps {
            self.adam.rule = self.adam.rule.with_lr(lessons.lr * lessons.schedule.factor(step));
            let (real, fake) = draw();
            let (real, fake) = (real.to_device(self.device), fake.to_device(self.device));
            let judge = |x: &Tensor| self.net.forward(x, &Ctx::eval());
            let mut objective = (lessons.objective)(&judge(&real), &judge(&fake));
            if let Some(weight) = lessons.gradient_penalty {
                let eps = self.penalty.uniform(&[real.size(0), 1], 0.0, 1.0, DType::F32, self.device);
                let p = gradient_penalty(&judge, &real, &fake, &eps);
                objective = objective.add(&p.penalty.mul_scalar(weight));
            }
            let grads = gradients(&objective, &self.net);
            drop(objective);
            let decay = ema.decay(real.size(0) as f64, self.seen);
            self.seen += real.size(0) as f64;
            let averages = parameters_mut(&mut self.average);
            let options = StepOptions { ema: Some((averages, decay)), ..StepOptions::default() };
            let made = self.adam.step_with(parameters_mut(&mut self.net), grads, options);
            made.expect("only a bound on gradients looks whether they are finite");
        }
    }

    /// The averaged network's logits or scores, differentiable in x; x may be on any device.
    pub fn judge(&self, x: &Tensor) -> Tensor {
        self.average.forward(&x.to_device(self.device), &Ctx::eval())
    }

    /// The logits at points of the line.
    pub fn logits(&self, x: &[f64]) -> Vec<f64> {
        let points: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        no_grad(|| self.judge(&Tensor::new(&points, &[x.len(), 1]))).to_f64_vec()
    }

    /// D at points of the line.
    pub fn probabilities(&self, x: &[f64]) -> Vec<f64> {
        self.logits(x).into_iter().map(sigmoid).collect()
    }
}

/// Where a learning rate falls to a hundredth over its steps.
pub(super) fn falling(steps: u64) -> Schedule {
    Schedule::Cosine { horizon: steps, end: 0.01, warmup: 0 }
}

pub(super) fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + (-a).exp())
}

/// ln(1 + e^a).
pub(super) fn softplus(a: f64) -> f64 {
    a.max(0.0) + (-a.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gan::Loss;
    use crate::gan::theory::density::Density;

    /// The device that `GANVIL_TEST_DEVICE` names; the CPU against itself would show nothing.
    #[test]
    fn lessons_are_the_same_on_another_device() {
        let Ok(name) = std::env::var("GANVIL_TEST_DEVICE") else {
            return println!("SKIPPED: set GANVIL_TEST_DEVICE to cuda or ptxsim");
        };
        let (p, q) = (Density::normal(-1.0, 1.0), Density::normal(1.0, 0.5));
        let [cpu, other] = [Device::Cpu, name.parse().unwrap()].map(|device| {
            let mut judge = Judge::new(1, 16, LayerSpec::Tanh, &Options { seed: 1, device });
            let (data, noise) = (Generator::new(1, Stream::Data), Generator::new(1, Stream::Noise));
            let objective = |real: &_, fake: &_| Loss::Wasserstein.get().discriminator(real, fake, 1.0);
            let lessons = Lessons {
                objective: &objective,
                gradient_penalty: Some(10.0),
                lr: 4e-3,
                schedule: falling(10),
            };
            judge.learn(&lessons, 10, &mut || (p.samples(32, &data), q.samples(32, &noise)));
            judge.logits(&[-2.0, 0.0, 1.0])
        });
        assert!(cpu.iter().zip(&other).all(|(a, b)| (a - b).abs() <= 1e-4), "{cpu:?} and {other:?}");
    }
}
