//! Games with labels: what reaches the networks, what is minimised, and what is drawn.

use approx::assert_relative_eq;
use ganvil::autograd::grad;
use ganvil::data::{Dataset, Images, Split};
use ganvil::gan::{
    Conditioning, DiscriminatorUpdate, Draws, Gan, GeneratorUpdate, Head, LabelEmbed, Loss, Network,
    NetworkSpec, NoProbe, Pass, Probe, Sampler, StepConfig, TrainConfig, Trainer, r1, zoo,
};
use ganvil::nn::{Ctx, Init, LayerSpec, Module, parameters, state_dict, to_dtype};
use ganvil::optim::{Optimizer, Sgd};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Reduction, Tensor};
use std::path::Path;
use std::sync::Arc;

const LATENT: usize = 3;
const PIXELS: usize = 5;
const CLASSES: usize = 4;
const BATCH: usize = 6;

fn random() -> Generator {
    Generator::new(11, Stream::General)
}

fn ints(v: &[i64]) -> Tensor {
    Tensor::new(v, &[v.len()])
}

fn table(used: bool) -> Option<LabelEmbed> {
    used.then_some(LabelEmbed { num: CLASSES, dim: 2 })
}

/// A small discriminator in f64.
fn discriminator(conditioning: Conditioning) -> Network {
    let embed = conditioning == Conditioning::Embed;
    let layers = vec![
        LayerSpec::linear(PIXELS + if embed { 2 } else { 0 }, 8),
        LayerSpec::leaky_relu(0.2),
        LayerSpec::linear(8, 1),
    ];
    let head = conditioning.head(CLASSES);
    let spec = NetworkSpec { layers, label_embed: table(embed), head, ..NetworkSpec::default() };
    let mut d = Network::build("D", &spec, &Init::Normal { std: 0.5 }, &Generator::new(1, Stream::Init));
    to_dtype(&mut d, DType::F64);
    d
}

fn generator() -> Network {
    let layers = vec![LayerSpec::linear(LATENT + 2, PIXELS), LayerSpec::Tanh];
    let spec = NetworkSpec { layers, label_embed: table(true), ..NetworkSpec::default() };
    let mut g = Network::build("G", &spec, &Init::Normal { std: 0.5 }, &Generator::new(2, Stream::Init));
    to_dtype(&mut g, DType::F64);
    g
}

/// The same draws in every step.
struct Fixed {
    real: Tensor,
    labels: Option<Tensor>,
    z: [Tensor; 2],
    fake_labels: Option<[Tensor; 2]>,
    eps: Tensor,
    random: Generator,
    /// Replayed masks belong to one batch: D judges real and fake samples apart.
    apart: bool,
}

impl Fixed {
    fn new() -> Fixed {
        let r = random();
        let normal = |shape: &[usize]| r.normal(shape, 0.0, 1.0, DType::F64, Device::Cpu);
        Fixed {
            real: normal(&[BATCH, PIXELS]),
            labels: Some(ints(&[0, 1, 2, 3, 1, 1])),
            z: [normal(&[BATCH, LATENT]), normal(&[BATCH, LATENT])],
            fake_labels: Some([ints(&[3, 3, 0, 2, 1, 0]), ints(&[2, 0, 0, 1, 3, 2])]),
            eps: r.uniform(&[BATCH, 1], 0.0, 1.0, DType::F64, Device::Cpu),
            random: random(),
            apart: false,
        }
    }
}

fn number(pass: Pass) -> usize {
    matches!(pass, Pass::Generator(_)) as usize
}

impl Draws for Fixed {
    fn real(&mut self) -> Tensor {
        self.real.clone()
    }
    fn labels(&mut self) -> Option<Tensor> {
        self.labels.clone()
    }
    fn noise(&mut self, pass: Pass) -> Tensor {
        self.z[number(pass)].clone()
    }
    fn fake_labels(&mut self, pass: Pass) -> Option<Tensor> {
        self.fake_labels.as_ref().map(|y| y[number(pass)].clone())
    }
    fn interpolation(&mut self, _: &Tensor) -> Tensor {
        self.eps.clone()
    }
    fn dropout(&self) -> &Generator {
        &self.random
    }
    fn replays_masks(&self) -> bool {
        self.apart
    }
}

fn gan(conditioning: Conditioning, config: StepConfig) -> Gan {
    let sgd = || Optimizer::new(Sgd { lr: 0.1, ..Sgd::default() });
    let (g, d) = (generator(), discriminator(conditioning));
    Gan::new(g, d, sgd(), sgd(), config)
}

/// Loss, class loss, objective and gradients of an update.
type Update = (f64, Option<f64>, f64, Vec<Vec<f64>>);

/// What an update was.
#[derive(Default)]
struct Seen {
    d: Option<Update>,
    g: Option<Update>,
    r1: Option<f64>,
    phases: Vec<&'static str>,
}

fn values(grads: &[Option<Tensor>]) -> Vec<Vec<f64>> {
    grads.iter().map(|g| g.as_ref().map_or(Vec::new(), |g| g.to_vec())).collect()
}

impl Probe for Seen {
    fn phase(&mut self, name: &'static str) {
        self.phases.push(name);
    }
    fn discriminator(&mut self, u: &DiscriminatorUpdate) {
        self.d = Some((u.loss, u.class_loss, u.objective, values(u.grads)));
        self.r1 = u.penalties.r1;
    }
    fn generator(&mut self, u: &GeneratorUpdate) {
        self.g = Some((u.loss, u.class_loss, u.objective, values(u.grads)));
    }
}

fn pass<'a>(random: &'a Generator, labels: &'a Tensor) -> Ctx<'a> {
    Ctx::train(random).with_condition(labels)
}

fn gradients(objective: &Tensor, net: &Network) -> Vec<Vec<f64>> {
    let params = parameters(net);
    values(&grad(&[objective], &params.iter().collect::<Vec<_>>(), &[], false))
}

fn close(got: &[Vec<f64>], want: &[Vec<f64>]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert_relative_eq!(got, want, max_relative = 1e-10, epsilon = 1e-13);
        }
    }
}

const ALL: [Conditioning; 3] =
    [Conditioning::Embed, Conditioning::Projection, Conditioning::AuxiliaryClassifier];

/// Losses, cross-entropies and gradients of both updates, written out: D sees each real sample with its own label and
/// each fake with the label that G was given for it.
#[test]
fn a_step_with_labels_is_its_formula() {
    let (scale_d, scale_g, weight, gamma) = (0.5, 2.0, 0.7, 3.0);
    for conditioning in ALL {
        for penalised in [false, true] {
            let config = StepConfig {
                d_loss_scale: scale_d,
                g_loss_scale: scale_g,
                class_weight: weight,
                r1: penalised.then_some(gamma),
                ..StepConfig::default()
            };
            let (mut gan, mut draws, mut seen) = (gan(conditioning, config), Fixed::new(), Seen::default());
            let (d, g, r) = (discriminator(conditioning), generator(), random());
            let loss = Loss::NonSaturating.get();
            let (y, [y_d, y_g]) = (draws.labels.clone().unwrap(), draws.fake_labels.clone().unwrap());

            let losses = gan.step(&mut draws, &mut seen).unwrap();
            let on_real = d.verdict(&draws.real, &pass(&r, &y));
            let on_fake = d.verdict(&g.forward(&draws.z[0], &pass(&r, &y_d)).detach(), &pass(&r, &y_d));
            let adversarial = loss.discriminator(&on_real.out, &on_fake.out, 1.0);
            let ce = |logits: Option<Tensor>, y: &Tensor| logits.map(|l| l.cross_entropy(y, Reduction::Mean));
            let classes = ce(on_real.classes, &y).zip(ce(on_fake.classes, &y_d)).map(|(r, f)| r.add(&f));
            assert_eq!(classes.is_some(), conditioning == Conditioning::AuxiliaryClassifier);
            let whole = |a: &Tensor, c: &Option<Tensor>, scale: f64| match c {
                Some(c) => a.add(&c.mul_scalar(weight)).mul_scalar(scale),
                None => a.mul_scalar(scale),
            };
            let mut objective = whole(&adversarial, &classes, scale_d);
            if penalised {
                let p = r1(&|x| d.forward(x, &pass(&r, &y)), &draws.real).penalty;
                assert_relative_eq!(seen.r1.unwrap(), p.item(), max_relative = 1e-12);
                objective = objective.add(&p.mul_scalar(gamma));
            }
            let (got_loss, got_classes, got_objective, got_grads) = seen.d.unwrap();
            assert_relative_eq!(got_loss, adversarial.item(), max_relative = 1e-12);
            assert_eq!((losses.d, losses.penalties.r1), (got_loss, seen.r1));
            assert_eq!(got_classes.is_some(), classes.is_some());
            if let (Some(got), Some(want)) = (got_classes, &classes) {
                assert_relative_eq!(got, want.item(), max_relative = 1e-12);
            }
            assert_relative_eq!(got_objective, objective.item(), max_relative = 1e-12);
            close(&got_grads, &gradients(&objective, &d));

            // G's update meets the D that has just been updated.
            let d = &gan.d;
            let verdict = d.verdict(&g.forward(&draws.z[1], &pass(&r, &y_g)), &pass(&r, &y_g));
            let adversarial = loss.generator(&verdict.out, None);
            let classes = ce(verdict.classes, &y_g);
            let objective = whole(&adversarial, &classes, scale_g);
            let (got_loss, got_classes, got_objective, got_grads) = seen.g.unwrap();
            assert_relative_eq!(got_loss, adversarial.item(), max_relative = 1e-12);
            assert_eq!(got_classes, classes.map(|c| c.item()));
            assert_relative_eq!(got_objective, objective.item(), max_relative = 1e-12);
            close(&got_grads, &gradients(&objective, &g));
        }
    }
}

#[test]
fn reused_fakes_keep_their_labels() {
    let config = StepConfig { reuse_fakes: true, ..StepConfig::default() };
    let (mut gan, mut draws, mut seen) =
        (gan(Conditioning::AuxiliaryClassifier, config), Fixed::new(), Seen::default());
    gan.step(&mut draws, &mut seen).unwrap();
    let (r, y) = (random(), draws.fake_labels.clone().unwrap()[0].clone());
    let logits = gan.d.verdict(&generator().forward(&draws.z[0], &pass(&r, &y)), &pass(&r, &y)).classes;
    let want = logits.unwrap().cross_entropy(&y, Reduction::Mean).item();
    assert_relative_eq!(seen.g.unwrap().1.unwrap(), want, max_relative = 1e-12);
}

#[test]
fn the_gradient_penalty_is_taken_at_the_real_samples_labels() {
    let config =
        StepConfig { loss: Loss::Wasserstein, gradient_penalty: Some(10.0), ..StepConfig::default() };
    let (mut gan, mut draws) = (gan(Conditioning::Projection, config), Fixed::new());
    let losses = gan.step(&mut draws, &mut NoProbe).unwrap();
    let (d, g, r) = (discriminator(Conditioning::Projection), generator(), random());
    let (y, y_d) = (draws.labels.clone().unwrap(), draws.fake_labels.clone().unwrap()[0].clone());
    let fake = g.forward(&draws.z[0], &pass(&r, &y_d));
    let at = |y: &Tensor| {
        let critic = |x: &Tensor| d.forward(x, &pass(&r, y));
        ganvil::gan::gradient_penalty(&critic, &draws.real, &fake, &draws.eps).penalty.item()
    };
    assert_relative_eq!(losses.penalties.gradient.unwrap(), at(&y), max_relative = 1e-12);
    assert!((at(&y) - at(&y_d)).abs() > 1e-6);
}

/// The network's input is `cat([x, label_embed[y]], 1)`; with a projection, its output psi(phi) + <V_y, phi>.
#[test]
fn labels_enter_as_the_papers_say() {
    let (x, y) = (Fixed::new().real, ints(&[0, 3, 2, 2, 1, 0]));
    let tensor = |net: &Network, name: &str| {
        state_dict(net).into_iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1
    };
    let d = discriminator(Conditioning::Embed);
    let row = Tensor::embedding(&y, &tensor(&d, "label_embed.weight"));
    let net = |d: &Network, x: &Tensor| {
        x.linear(&tensor(d, "net.0.weight"), Some(&tensor(d, "net.0.bias"))).leaky_relu(0.2)
    };
    let psi = |d: &Network, h: &Tensor| h.linear(&tensor(d, "net.2.weight"), Some(&tensor(d, "net.2.bias")));
    let want = psi(&d, &net(&d, &Tensor::cat(&[&x, &row], 1)));
    assert_eq!(d.forward(&x, &Ctx::eval().with_condition(&y)).to_vec::<f64>(), want.to_vec::<f64>());

    let d = discriminator(Conditioning::Projection);
    let phi = net(&d, &x);
    let v = tensor(&d, "embed.weight");
    assert_eq!(v.shape(), [CLASSES, 8]);
    let inner: Vec<f64> = (0..BATCH)
        .map(|n| {
            let class = y.to_vec::<i64>()[n] as usize;
            let (v, phi) = (v.to_vec::<f64>(), phi.to_vec::<f64>());
            (0..8).map(|i| v[class * 8 + i] * phi[n * 8 + i]).sum::<f64>()
        })
        .collect();
    let got = d.forward(&x, &Ctx::eval().with_condition(&y));
    for ((got, psi), inner) in got.to_vec::<f64>().iter().zip(psi(&d, &phi).to_vec::<f64>()).zip(inner) {
        assert_relative_eq!(*got, psi + inner, max_relative = 1e-12);
    }
}

/// For pictures a row is as many constant feature maps.
#[test]
fn a_label_is_constant_over_a_picture() {
    let spec = NetworkSpec { layers: vec![], label_embed: table(true), ..NetworkSpec::default() };
    let d = Network::build("D", &spec, &Init::Default, &random());
    let x = random().normal(&[2, 1, 2, 3], 0.0, 1.0, DType::F32, Device::Cpu);
    let y = d.forward(&x, &Ctx::eval().with_condition(&ints(&[3, 1])));
    assert_eq!(y.shape(), [2, 3, 2, 3]);
    assert_eq!(y.narrow(1, 0, 1).to_vec::<f32>(), x.to_vec::<f32>());
    let table = state_dict(&d)[0].1.to_vec::<f32>();
    for (n, class) in [3, 1].into_iter().enumerate() {
        for k in 0..2 {
            let map = y.narrow(0, n, 1).narrow(1, 1 + k, 1).to_vec::<f32>();
            assert_eq!(map, [table[class * 2 + k]; 6]);
        }
    }
}

fn refused(parts: &[&str], f: impl FnOnce()) {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("it was taken");
    let text = payload.downcast_ref::<String>().expect("a message");
    assert!(parts.iter().all(|p| text.contains(p)), "{text}");
}

#[test]
fn labels_that_cannot_be_are_refused() {
    let x = Fixed::new().real;
    for conditioning in [Conditioning::Embed, Conditioning::Projection] {
        let d = discriminator(conditioning);
        let give = |y: Tensor| d.verdict(&x, &Ctx::eval().with_condition(&y)).out;
        let place = if conditioning == Conditioning::Embed { "label_embed" } else { "embed" };
        refused(&["labels (in D)", "got none", "Ctx::with_condition"], || drop(d.forward(&x, &Ctx::eval())));
        refused(&["labels (in D)", "x [6, 5]", "i64 [6]", "i64 [5]"], || drop(give(ints(&[0; 5]))));
        refused(&["labels (in D)", "i64 [6, 1]"], || drop(give(ints(&[0; 6]).reshape(&[6, 1]))));
        refused(&["labels (in D)", "f64 [6]"], || drop(give(ints(&[0; 6]).to_dtype(DType::F64))));
        for class in [4, -1] {
            let y = ints(&[0, 1, 2, 3, class, 0]);
            refused(&["embedding", &format!("(in D.{place})"), &class.to_string()], || drop(give(y)));
        }
    }
    // The classifier takes no labels, but its loss does.
    let step = |change: fn(&mut Fixed)| {
        let mut draws = Fixed::new();
        change(&mut draws);
        drop(gan(Conditioning::AuxiliaryClassifier, StepConfig::default()).step(&mut draws, &mut NoProbe));
    };
    refused(&["step: an auxiliary classifier learns from labels"], || step(|d| d.labels = None));
    refused(&["cross_entropy", "[6, 4]", "[5]"], || step(|d| d.labels = Some(ints(&[0; 5]))));
    refused(&["cross_entropy", "4"], || step(|d| d.labels = Some(ints(&[4; 6]))));
    refused(&["labels (in G)", "got none"], || step(|d| d.fake_labels = None));
    let bare = NetworkSpec {
        layers: vec![LayerSpec::linear(5, 1), LayerSpec::Sigmoid],
        head: Some(Head::Projection { num: 3 }),
        ..NetworkSpec::default()
    };
    refused(&["Projection { num: 3 }", "Linear layer at the end", "Sigmoid"], || {
        drop(Network::build("D", &bare, &Init::Default, &random()))
    });
}

fn mnist(split: Split) -> Arc<Dataset> {
    Arc::new(Dataset::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist"), split).unwrap())
}

fn cgan() -> TrainConfig {
    (zoo::recipe("cgan").unwrap().config)()
}

/// Only the table's rows for classes that the data have get a gradient, from real samples and fakes alike.
#[test]
fn classes_that_the_data_lack_are_neither_shown_nor_asked_for() {
    struct Rows(Vec<f64>, Vec<f64>);
    impl Probe for Rows {
        fn discriminator(&mut self, u: &DiscriminatorUpdate) {
            self.0 = u.grads[0].as_ref().unwrap().square().sum(&[1], false).to_f64_vec();
        }
        fn generator(&mut self, u: &GeneratorUpdate) {
            self.1 = u.grads[0].as_ref().unwrap().square().sum(&[1], false).to_f64_vec();
        }
    }
    let all = mnist(Split::Test);
    let kept: Vec<usize> =
        (0..2000).filter(|&i| [3, 7, 8].contains(&all.labels.as_ref().unwrap()[i])).collect();
    let pixels = kept.iter().flat_map(|&i| all.images.image(i).to_vec()).collect();
    let images = Images { count: kept.len(), pixels, ..all.images.clone() };
    let labels: Vec<u32> = kept.iter().map(|&i| all.labels.as_ref().unwrap()[i]).collect();
    let some =
        Arc::new(Dataset { images, labels: Some(labels), classes: all.classes.clone(), name: "some".into() });
    let mut trainer = Trainer::new(cgan(), some, Device::Cpu).unwrap();
    assert_eq!(trainer.classes(), Some(10));
    for _ in 0..3 {
        let mut rows = Rows(vec![], vec![]);
        trainer.step(&mut rows).unwrap();
        for of in [rows.0, rows.1] {
            let used: Vec<usize> = (0..of.len()).filter(|&c| of[c] > 0.0).collect();
            assert_eq!(used, [3, 7, 8]);
        }
    }
}

#[test]
fn state_is_named_as_in_the_listings() {
    let names = |conditioning, loss| {
        let mut config = TrainConfig { conditioning, ..cgan() };
        config.step.loss = loss;
        let r = Generator::new(0, Stream::Init);
        let (g, d) = ganvil::gan::networks(&config, [1, 28, 28], 10, &r).unwrap();
        [g, d].map(|n| {
            state_dict(&n).into_iter().map(|(name, t)| (name, t.shape().to_vec())).collect::<Vec<_>>()
        })
    };
    let [g, d] = names(Conditioning::Embed, Loss::Bce);
    assert_eq!(g[0], ("label_embed.weight".to_string(), vec![10, 10]));
    assert_eq!(g[1], ("net.0.weight".to_string(), vec![256, 110]));
    assert_eq!(
        d[..2],
        [("label_embed.weight".to_string(), vec![10, 10]), ("net.0.weight".into(), vec![512, 794])]
    );
    let last = |all: &[(String, Vec<usize>)], n: usize| all[all.len() - n..].to_vec();
    let [_, d] = names(Conditioning::Projection, Loss::Hinge);
    let end = [("net.6.weight", vec![1, 256]), ("net.6.bias", vec![1]), ("embed.weight", vec![10, 256])];
    assert_eq!(last(&d, 3), end.map(|(n, s)| (n.to_string(), s)));
    let [_, d] = names(Conditioning::AuxiliaryClassifier, Loss::NonSaturating);
    let end = [("net.6.bias", vec![1]), ("classes.weight", vec![10, 256]), ("classes.bias", vec![10])];
    assert_eq!(last(&d, 3), end.map(|(n, s)| (n.to_string(), s)));
}

/// Short training with each way of using labels: what is drawn for a class lies nearest to that class's mean picture.
/// Without wrong pairs to learn from, D of `embed` takes longest to look at its label; a larger step shortens that.
#[test]
fn samples_are_of_the_class_asked_for() {
    let data = mnist(Split::Test);
    let means = class_means(&data);
    for (recipe, conditioning, loss, lr, steps) in [
        ("mlp-a", Conditioning::Embed, Loss::Bce, 1e-3, 1500),
        ("cgan", Conditioning::Projection, Loss::Hinge, 2e-4, 600),
        ("cgan", Conditioning::AuxiliaryClassifier, Loss::NonSaturating, 2e-4, 600),
    ] {
        let mut config = TrainConfig { conditioning, ..(zoo::recipe(recipe).unwrap().config)() };
        config.step.loss = loss;
        config.optimizer_d = config.optimizer_d.with_lr(lr);
        config.optimizer_g = config.optimizer_g.with_lr(lr);
        let mut trainer = Trainer::new(config, data.clone(), Device::Cpu).unwrap();
        for _ in 0..steps {
            trainer.step(&mut NoProbe).unwrap();
        }
        let preview = trainer.preview();
        let samples = trainer.sample(&preview.z, preview.labels.as_ref());
        let right = samples.chunks(784).enumerate().filter(|(i, x)| nearest(x, &means) == i / 10).count();
        println!("{conditioning:?}: {right} of 100");
        assert!(right >= 50, "{conditioning:?}: {right} of 100 lie nearest to their class; by chance 10");
    }
}

fn class_means(data: &Dataset) -> Vec<Vec<f64>> {
    let mut means = vec![vec![0.0; 784]; 10];
    let mut counts = [0.0; 10];
    for i in 0..data.images.count {
        let class = data.labels.as_ref().unwrap()[i] as usize;
        counts[class] += 1.0;
        means[class].iter_mut().zip(data.images.image(i)).for_each(|(m, &v)| *m += v as f64 / 127.5 - 1.0);
    }
    means.iter_mut().zip(counts).for_each(|(m, n)| m.iter_mut().for_each(|v| *v /= n));
    means
}

fn nearest(x: &[f32], means: &[Vec<f64>]) -> usize {
    let far = |m: &Vec<f64>| m.iter().zip(x).map(|(m, &x)| (m - x as f64).powi(2)).sum::<f64>();
    (0..means.len()).min_by(|&a, &b| far(&means[a]).total_cmp(&far(&means[b]))).unwrap()
}

#[test]
fn a_preview_has_a_row_for_each_class_and_a_column_for_each_latent_vector() {
    let trainer = Trainer::new(cgan(), mnist(Split::Test), Device::Cpu).unwrap();
    let p = trainer.preview();
    assert_eq!((p.z.shape(), p.columns), (&[100, 100][..], 10));
    let labels = p.labels.unwrap().to_vec::<i64>();
    let z = p.z.to_vec::<f32>();
    let fixed = trainer.fixed_noise(10).to_vec::<f32>();
    for i in 0..100 {
        assert_eq!(labels[i], i as i64 / 10);
        assert_eq!(z[i * 100..(i + 1) * 100], fixed[i % 10 * 100..(i % 10 + 1) * 100]);
    }
    let plain = TrainConfig { conditioning: Conditioning::None, ..cgan() };
    let trainer = Trainer::new(plain, mnist(Split::Test), Device::Cpu).unwrap();
    assert!(trainer.preview().labels.is_none() && trainer.classes().is_none());
}

#[test]
fn a_stored_generator_draws_the_classes_that_it_is_asked_for() {
    let mut trainer = Trainer::new(cgan(), mnist(Split::Test), Device::Cpu).unwrap();
    for _ in 0..5 {
        trainer.step(&mut NoProbe).unwrap();
    }
    let path = std::env::temp_dir().join(format!("ganvil-classes-{}.safetensors", std::process::id()));
    trainer.save(&path).unwrap();
    let sampler = Sampler::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(sampler.classes, Some(10));
    let asked = [7usize, 7, 0, 9, 3];
    let labels = ints(&asked.map(|y| y as i64));
    let got = sampler.sample_classes(&asked, 0).unwrap();
    assert_eq!(
        got,
        trainer.sample(&trainer.fixed_noise(5), Some(&labels)),
        "a stored generator is the trained one"
    );
    assert_ne!(got, sampler.sample_classes(&[7, 7, 0, 9, 4], 0).unwrap());
    assert_eq!(
        sampler.sample(12, 3),
        sampler.sample_classes(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1], 3).unwrap()
    );
    assert!(sampler.sample_classes(&[], 0).unwrap().is_empty());
    let text = sampler.sample_classes(&[1, 10], 0).unwrap_err().to_string();
    assert!(text.contains("invalid class '10'") && text.contains("10 classes, 0 to 9"), "{text}");
}

/// One pass over real and fake samples is both passes: gradients are added up in another order, and no more.
#[test]
fn one_batch_of_real_and_fake_is_two() {
    for conditioning in [Conditioning::Embed, Conditioning::Projection, Conditioning::AuxiliaryClassifier] {
        let update = |apart: bool| {
            let mut seen = Seen::default();
            let mut draws = Fixed { apart, ..Fixed::new() };
            gan(conditioning, StepConfig::default()).step(&mut draws, &mut seen).unwrap();
            (seen.d.unwrap(), seen.phases.contains(&"D forward on x and G(z)"))
        };
        let ((joint, in_one), (two, in_two)) = (update(false), update(true));
        assert!(in_one && !in_two, "{conditioning:?}");
        assert_eq!((joint.0, joint.1, joint.2), (two.0, two.1, two.2), "{conditioning:?}");
        for (a, b) in joint.3.concat().iter().zip(two.3.concat()) {
            assert_relative_eq!(*a, b, epsilon = 1e-13, max_relative = 1e-12);
        }
    }
}
