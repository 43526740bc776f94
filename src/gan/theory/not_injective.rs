//! A generator is a function, but neither one-to-one nor onto.
//!
//! A G from the plane to the plane is trained on eight Gaussians in a ring, and then asked two things.
//!
//! Not one-to-one: z and z' far apart with |G(z) - G(z')| near 0. Candidates come from a search among samples that fall
//! into one small cell; then |G(z) - G(z')|^2 is brought to 0 by gradient descent in both. A mode is narrow, so G presses
//! a whole sector of the plane into it and must fold: on the straight way from z to z' the sample leaves and comes back.
//!
//! Not onto: for a real x, min over z of |G(z) - x| by gradient descent from the best of many z, within the ball that
//! holds 99.9 % of the noise: |z|^2 <= -2 ln 0.001 in two dimensions. What stays above 0 is not in G's range. This is
//! the projection of Zhu et al. (2016, "Generative Visual Manipulation on the Natural Image Manifold",
//! arXiv:1609.03552, section 4.1).
//!
//! Look at: the lines in the noise, whose two ends are one sample; the real points that stay out of reach. Pitfalls: an
//! inverted z is one of many and proves nothing about which z an image came from; a small residual depends on where the
//! descent starts.

use super::{Experiment, Options, Outcome, Table, line};
use crate::autograd::grad;
use crate::data::{Mixture, Samples, Synthetic};
use crate::gan::{Draws, Gan, Loss, Network, NoProbe, Pass, Prior, StepConfig};
use crate::nn::{Ctx, LayerSpec, Module, parameters, to_device};
use crate::optim::{Adam, Optimizer, Schedule};
use crate::report::{Panel, Scale};
use crate::rng::Stream;
use crate::{DType, Device, Error, Generator, Result, Tensor, no_grad};
use std::collections::BTreeMap;

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "not-injective",
    summary: "Distant noise gives equal samples, and some real points come from no noise",
    explanation: "G maps noise in the plane to a ring of eight Gaussians and is trained for 2500 steps (non-saturating, \
        R1). For each mode the most distant pair of z with one sample is searched, and for real points the z that comes \
        nearest, by gradient descent in z within the ball that holds 99.9 % of the noise. Look at the pairs, and at how \
        far the sample strays on the straight way between the two z; and at the residuals: points that stay above 0 \
        are not in G's range.",
    run,
};

const DATA: Synthetic = Synthetic::Ring8;
const STEPS: u64 = 2500;
const BATCH: usize = 128;
const LR: f64 = 2e-3;
/// Noise vectors among which is searched.
const SEARCHED: usize = 20_000;
/// Real points that are to be reached.
const TARGETS: usize = 200;
/// Descents for each.
const STARTS: usize = 4;
/// A share of sigma above which a residual counts as out of reach.
const REACHED: f64 = 0.1;

type Point = [f64; 2];

fn run(options: &Options) -> Result<Outcome> {
    let g = trained(options)?;
    let ring = DATA.mixture().expect("the ring is a mixture");
    let noise = Generator::new(options.seed, Stream::Samples);
    let z = points(&noise.normal(&[SEARCHED, 2], 0.0, 1.0, DType::F32, Device::Cpu));
    let samples = apply(&g, &z);
    let pairs = equal_pairs(&g, &z, &samples, &ring);
    let real: Vec<Point> =
        DATA.samples(options.seed + 1).take(TARGETS).iter().map(|p| p.map(f64::from)).collect();
    let (_, residuals) = reach(&g, &z, &samples, &real);
    let residuals: Vec<f64> = residuals.iter().map(|r| r / ring.sigma).collect();
    let table = table(&pairs, &residuals);
    let findings = findings(&pairs, &residuals, &ring);
    let panels = panels(&ring, &z, &samples, &pairs, &real, &residuals);
    Ok(Outcome { table, panels, findings })
}

/// What a step is given: points of the ring, and noise.
struct Plane {
    data: Samples,
    noise: Generator,
    dropout: Generator,
    device: Device,
}

impl Draws for Plane {
    fn real(&mut self) -> Tensor {
        Tensor::new(self.data.take(BATCH).as_flattened(), &[BATCH, 2]).to_device(self.device)
    }
    fn noise(&mut self, _: Pass) -> Tensor {
        Prior::Normal.draw(BATCH, 2, &self.noise, self.device)
    }
    fn interpolation(&mut self, real: &Tensor) -> Tensor {
        Tensor::zeros(&[real.size(0), 1], DType::F32, self.device)
    }
    fn dropout(&self) -> &Generator {
        &self.dropout
    }
}

fn trained(options: &Options) -> Result<Network> {
    let &Options { seed, device } = options;
    let init = Generator::new(seed, Stream::Init);
    let net = |name, activation: LayerSpec, outputs| {
        let hidden = [2, 64, 64, 64]
            .windows(2)
            .flat_map(|w| [LayerSpec::linear(w[0], w[1]), activation.clone()])
            .collect::<Vec<_>>();
        let mut net = Network::new(name, &[hidden, vec![LayerSpec::linear(64, outputs)]].concat(), &init);
        to_device(&mut net, device);
        net
    };
    let adam = Adam { lr: LR, betas: (0.0, 0.99), ..Adam::default() };
    let (g, d) = (net("G", LayerSpec::ReLU, 2), net("D", LayerSpec::leaky_relu(0.2), 1));
    let config = StepConfig { loss: Loss::NonSaturating, r1: Some(0.1), ..StepConfig::default() };
    let mut gan = Gan::new(g, d, Optimizer::new(adam), Optimizer::new(adam), config);
    let stream = |purpose| Generator::new(seed, purpose);
    let mut plane = Plane {
        data: DATA.samples(seed),
        noise: stream(Stream::Noise),
        dropout: stream(Stream::Dropout),
        device,
    };
    let decay = Schedule::Linear { horizon: STEPS, end: 0.0, warmup: 0 };
    for step in 1..=STEPS {
        let lr = LR * decay.factor(step - 1);
        (gan.opt_g.rule, gan.opt_d.rule) = (gan.opt_g.rule.with_lr(lr), gan.opt_d.rule.with_lr(lr));
        gan.step(&mut plane, &mut NoProbe).map_err(|e| Error::NonFinite {
            what: e.what,
            step,
            tensor: e.tensor,
            remedy: "Try another --seed.".into(),
        })?;
    }
    Ok(gan.g)
}

fn points(t: &Tensor) -> Vec<Point> {
    t.to_f64_vec().as_chunks::<2>().0.to_vec()
}

/// Points where G computes.
fn tensor(points: &[Point], g: &Network) -> Tensor {
    let device = parameters(g)[0].device();
    Tensor::new(points.as_flattened(), &[points.len(), 2]).to_dtype(DType::F32).to_device(device)
}

fn apply(g: &Network, z: &[Point]) -> Vec<Point> {
    points(&no_grad(|| g.forward(&tensor(z, g), &Ctx::eval())))
}

fn distance(a: Point, b: Point) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Two z of one sample.
struct Pair {
    z: [Point; 2],
    /// |G(z) - G(z')|.
    apart: f64,
    /// The sample's mode.
    mode: usize,
    /// How far the sample gets away on the straight way between the two.
    detour: f64,
}

/// For each mode the most distant pair that shares a cell of samples, its samples then made equal by descent.
fn equal_pairs(g: &Network, z: &[Point], samples: &[Point], ring: &Mixture) -> Vec<Pair> {
    let mut cells: BTreeMap<[i64; 2], Vec<usize>> = BTreeMap::new();
    for (i, p) in samples.iter().enumerate() {
        cells.entry(p.map(|v| (v / ring.sigma).floor() as i64)).or_default().push(i);
    }
    let mut farthest: BTreeMap<usize, (f64, [Point; 2])> = BTreeMap::new();
    for members in cells.values() {
        // From any member the farthest, and from that one the farthest: near the diameter, in two passes.
        let far = |from: usize| {
            members
                .iter()
                .copied()
                .max_by(|a, b| distance(z[from], z[*a]).total_cmp(&distance(z[from], z[*b])))
        };
        let a = far(members[0]).expect("a cell has a member");
        let b = far(a).expect("a cell has a member");
        let (mode, off) = ring.nearest(samples[a]);
        let best = farthest.entry(mode).or_default();
        if off <= 3.0 * ring.sigma && distance(z[a], z[b]) > best.0 {
            *best = (distance(z[a], z[b]), [z[a], z[b]]);
        }
    }
    let found: Vec<(usize, [Point; 2])> =
        farthest.into_iter().filter(|(_, v)| v.0 > 0.0).map(|(m, v)| (m, v.1)).collect();
    let start: Vec<Point> = found.iter().flat_map(|f| f.1).collect();
    let gap = |z: &Tensor| {
        let both = g.forward(z, &Ctx::eval()).reshape(&[z.size(0) / 2, 2, 2]);
        both.narrow(1, 0, 1).sub(&both.narrow(1, 1, 1))
    };
    let end = descend(g, &start, f64::INFINITY, &|z| gap(z).square().sum_all());
    let (end, _) = end.as_chunks::<2>();
    let pair = |(&z, (mode, _)): (&[Point; 2], &(usize, _))| {
        let ends = apply(g, &z);
        let way: Vec<Point> =
            (0..=100).map(|i| [0, 1].map(|k| z[0][k] + (z[1][k] - z[0][k]) * i as f64 / 100.0)).collect();
        let detour = apply(g, &way).iter().map(|&p| distance(p, ends[0])).fold(0.0, f64::max);
        Pair { z, apart: distance(ends[0], ends[1]), mode: *mode, detour }
    };
    end.iter().zip(&found).map(pair).collect()
}

/// Where Adam gets from `start`, each z kept within the radius.
fn descend(g: &Network, start: &[Point], radius: f64, objective: &dyn Fn(&Tensor) -> Tensor) -> Vec<Point> {
    const STEPS: u64 = 400;
    const LR: f64 = 0.01;
    let falling = Schedule::Cosine { horizon: STEPS, end: 1e-3, warmup: 0 };
    let mut adam = Optimizer::new(Adam { lr: LR, ..Adam::default() });
    let mut z = tensor(start, g).requires_grad();
    for step in 0..STEPS {
        adam.rule = adam.rule.with_lr(LR * falling.factor(step));
        let grads = grad(&[&objective(&z)], &[&z], &[], false);
        adam.step(vec![&mut z], grads);
        let factor =
            no_grad(|| z.square().sum(&[1], true).sqrt().add_scalar(1e-12).pow(-1.0).mul_scalar(radius));
        z = no_grad(|| z.mul(&factor.clamp(None, 1.0))).detach().requires_grad();
    }
    points(&z.detach())
}

/// For each real point the z found and how far its sample is from it.
fn reach(g: &Network, z: &[Point], samples: &[Point], real: &[Point]) -> (Vec<Point>, Vec<f64>) {
    let nearest = |x: Point| {
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.select_nth_unstable_by(STARTS, |a, b| {
            distance(samples[*a], x).total_cmp(&distance(samples[*b], x))
        });
        order[..STARTS].iter().map(|&i| z[i]).collect::<Vec<_>>()
    };
    let start: Vec<Point> = real.iter().flat_map(|&x| nearest(x)).collect();
    let goals: Vec<Point> = real.iter().flat_map(|&x| [x; STARTS]).collect();
    let wanted = tensor(&goals, g);
    let radius = (-2.0 * 0.001f64.ln()).sqrt();
    let end = descend(g, &start, radius, &|z| g.forward(z, &Ctx::eval()).sub(&wanted).square().sum_all());
    let off: Vec<f64> = apply(g, &end).iter().zip(&goals).map(|(a, b)| distance(*a, *b)).collect();
    let best = |i: usize| {
        (i * STARTS..(i + 1) * STARTS).min_by(|a, b| off[*a].total_cmp(&off[*b])).expect("a start")
    };
    (0..real.len()).map(best).map(|k| (end[k], off[k])).unzip()
}

fn table(pairs: &[Pair], residuals: &[f64]) -> Table {
    let mut table = Table::new(&[
        "what",
        "distance of the z",
        "distance of the samples",
        "detour between",
        "residual / sigma",
    ]);
    for p in pairs {
        let between = distance(p.z[0], p.z[1]);
        table.push([
            format!("pair, mode {}", p.mode).into(),
            between.into(),
            p.apart.into(),
            p.detour.into(),
            "".into(),
        ]);
    }
    for share in [0.5, 0.9, 1.0] {
        let what = format!("real points, {:.0} % within", 100.0 * share);
        table.push([what.into(), "".into(), "".into(), "".into(), quantile(residuals, share).into()]);
    }
    table
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1]
}

fn findings(pairs: &[Pair], residuals: &[f64], ring: &Mixture) -> Vec<String> {
    let out = residuals.iter().filter(|r| **r > REACHED).count();
    let mut findings = Vec::new();
    let length = |p: &Pair| distance(p.z[0], p.z[1]);
    if let Some(p) = pairs.iter().max_by(|a, b| length(a).total_cmp(&length(b))) {
        findings.push(format!(
            "z = ({:.2}, {:.2}) and ({:.2}, {:.2}) are {:.2} apart, their samples {:.1e}. On the straight way between \
             them the sample strays by up to {:.3} ({:.1} sigma).",
            p.z[0][0],
            p.z[0][1],
            p.z[1][0],
            p.z[1][1],
            length(p),
            p.apart,
            p.detour,
            p.detour / ring.sigma
        ));
    }
    findings.push(format!(
        "{out} of {} real points stay out of reach: no z was found whose sample is within {REACHED} sigma. The worst is {:.1} \
         sigma away, the median {:.1e}.",
        residuals.len(),
        quantile(residuals, 1.0),
        quantile(residuals, 0.5)
    ));
    findings
}

fn panels(
    ring: &Mixture,
    z: &[Point],
    samples: &[Point],
    pairs: &[Pair],
    real: &[Point],
    residuals: &[f64],
) -> Vec<Panel> {
    let xy = |p: &Point| (p[0], p[1]);
    let some = |p: &[Point]| p[..2000].iter().map(xy).collect::<Vec<_>>();
    let which = |yes: bool| -> Vec<Point> {
        let both = real.iter().zip(residuals).filter(|(_, r)| (**r <= REACHED) == yes);
        both.map(|(p, _)| *p).collect()
    };
    let (near, far) = (which(true), which(false));
    let about = |points: &[Point]| -> Vec<(f64, f64)> {
        let about = |p: &Point| {
            let centre = ring.centres[ring.nearest(*p).0];
            ((p[0] - centre[0]) / ring.sigma, (p[1] - centre[1]) / ring.sigma)
        };
        points.iter().map(about).filter(|(x, y)| x.hypot(*y) < 4.5).collect()
    };
    let mut sorted = residuals.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ends = pairs.iter().flat_map(|p| p.z).map(|p| xy(&p));
    vec![
        Panel {
            title: "Pairs of z with one sample".into(),
            x_label: "z1".into(),
            y_label: "z2".into(),
            square: true,
            lines: pairs.iter().map(|p| line("", p.z.iter().map(xy))).collect(),
            dots: vec![line("", some(z)), line("", ends)],
            ..Panel::default()
        },
        Panel {
            title: "Samples, and real points".into(),
            x_label: "x1".into(),
            y_label: "x2".into(),
            square: true,
            dots: vec![
                line("G(z)", some(samples)),
                line("out of reach", far.iter().map(xy)),
                line("reached", near.iter().map(xy)),
            ],
            ..Panel::default()
        },
        Panel {
            title: "About the centres of the modes".into(),
            x_label: "sigmas".into(),
            y_label: "sigmas".into(),
            y_range: Some((-4.5, 4.5)),
            square: true,
            dots: vec![
                line("G(z)", about(&samples[..2000])),
                line("out of reach", about(&far)),
                line("reached", about(&near)),
            ],
            ..Panel::default()
        },
        Panel {
            title: "How near G comes to each real point".into(),
            y_label: "residual / sigma, at least 1e−7".into(),
            x_label: "real points, sorted".into(),
            y_scale: Scale::Log,
            lines: vec![line(
                "residual",
                sorted.into_iter().enumerate().map(|(i, r)| (i as f64, r.max(1e-7))),
            )],
            reference: vec![(REACHED, format!("{REACHED} sigma"))],
            ..Panel::default()
        },
    ]
}
