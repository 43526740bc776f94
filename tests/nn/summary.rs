//! Summaries against counts by hand and against what a pass on the CPU calls.

use super::*;
use ganvil::backend::trace;
use ganvil::gan::{Network, TrainConfig, networks, zoo};
use ganvil::nn::{
    BatchNorm1d, Kind, LayerSpec, Linear, ReLU, Residual, Sequential, Summary, parameter_count, summary,
    to_dtype,
};
use ganvil::no_grad;

#[test]
fn recipes_are_counted_layer_by_layer() {
    let config = (zoo::recipe("mlp").unwrap().config)();
    let (g, d) = networks(&config, [1, 28, 28], 10, &Generator::new(0, Stream::Init)).unwrap();
    let s = summary(&g, &[64, 100]);
    let rows: Vec<(&str, &str, &[usize], usize, u64)> =
        s.rows.iter().map(|r| (&*r.name, r.layer, &*r.output, r.parameters, r.macs)).collect();
    let want: [(&str, &str, &[usize], usize, u64); 8] = [
        ("G.net.0", "Linear", &[64, 256], 100 * 256 + 256, 64 * 100 * 256),
        ("G.net.1", "LeakyReLU", &[64, 256], 0, 0),
        ("G.net.2", "BatchNorm1d", &[64, 256], 512, 0),
        ("G.net.3", "Linear", &[64, 512], 256 * 512 + 512, 64 * 256 * 512),
        ("G.net.4", "LeakyReLU", &[64, 512], 0, 0),
        ("G.net.5", "BatchNorm1d", &[64, 512], 1024, 0),
        ("G.net.6", "Linear", &[64, 784], 512 * 784 + 784, 64 * 512 * 784),
        ("G.net.7", "Tanh", &[64, 784], 0, 0),
    ];
    assert_eq!(rows, want);
    assert_eq!(s.parameters, parameter_count(&g));
    assert_eq!(s.parameter_bytes, 4 * s.parameters);
    assert_eq!(s.buffers, 2 * 256 + 1 + 2 * 512 + 1);
    assert_eq!(summary(&d, &s.output).output, [64, 1]);
}

/// The same kernels with the same sizes as a pass with values, and sums that agree.
#[test]
fn a_summary_counts_what_a_pass_calls() {
    for recipe in &zoo::RECIPES {
        let config: TrainConfig = (recipe.config)();
        let (g, d) = networks(&config, [1, 28, 28], 10, &Generator::new(0, Stream::Init)).unwrap();
        for (net, shape) in [(&g, [5, config.latent]), (&d, [5, 784])] {
            let x = ones(&shape);
            let labels = Tensor::from(&[3i64, 1, 4, 1, 9][..]);
            let pass = |net: &Network, x: &Tensor, y: &Tensor| {
                trace::record(|| no_grad(|| net.forward(x, &Ctx::eval().with_condition(y)))).1
            };
            let calls = pass(net, &x, &labels);
            let meta = net.map(|_, _, t| t.detach().to_device(Device::Meta));
            let on_meta = pass(&meta, &x.to_device(Device::Meta), &labels.to_device(Device::Meta));
            assert_eq!(on_meta, calls, "{}", recipe.name);
            let s = summary(net, &shape);
            assert_eq!(s.macs, calls.iter().map(|c| c.macs()).sum::<u64>());
            assert_eq!(s.macs, s.rows.iter().map(|r| r.macs).sum::<u64>());
            assert_eq!(s.parameters, s.rows.iter().map(|r| r.parameters).sum::<usize>());
        }
    }
}

/// w x for a matrix of its own, then two modules of which one is applied twice.
#[derive(Clone)]
struct Own {
    mix: Tensor,
    twice: Linear,
    never: Linear,
}

impl Module for Own {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        let x = x.matmul(&self.mix);
        ctx.apply("twice", &self.twice, &ctx.apply("twice", &self.twice, &x))
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        f(&format!("{path}mix"), Kind::Parameter, &self.mix);
        self.twice.visit(&format!("{path}twice."), f);
        self.never.visit(&format!("{path}never."), f);
    }
    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        f(&format!("{path}mix"), Kind::Parameter, &mut self.mix);
        self.twice.visit_mut(&format!("{path}twice."), f);
        self.never.visit_mut(&format!("{path}never."), f);
    }
}

#[test]
fn containers_have_a_row_for_what_they_do_themselves() {
    let random = random();
    let own = Own {
        mix: ones(&[4, 4]).requires_grad(),
        twice: Linear::new(4, 4, false, &random),
        never: Linear::new(2, 3, true, &random),
    };
    let block = Residual::new(Sequential::new().with(ReLU).with(own));
    let net = Sequential::new().with(block).with(Sequential::new().with(ReLU));
    let s = summary(&net, &[10, 4]);
    let rows: Vec<(&str, &str, usize, u64)> =
        s.rows.iter().map(|r| (&*r.name, r.layer, r.parameters, r.macs)).collect();
    let want = [
        ("0.body.0", "ReLU", 0, 0),
        ("0.body.1.twice", "Linear", 16, 2 * 10 * 4 * 4),
        // Its matrix, and what no pass reaches.
        ("0.body.1", "Own", 16 + 2 * 3 + 3, 10 * 4 * 4),
        ("0", "Residual", 0, 0),
        ("1.0", "ReLU", 0, 0),
    ];
    assert_eq!(rows, want);
    assert_eq!((s.parameters, s.macs), (41, 3 * 160));
}

#[test]
fn the_network_itself_may_be_a_layer_and_stays_as_it_is() {
    let mut f = Linear::new(3, 2, true, &random());
    to_dtype(&mut f, DType::F64);
    let s = summary(&f, &[7, 5, 3]);
    assert_eq!((s.rows.len(), &*s.rows[0].name, s.macs), (1, "", 7 * 5 * 3 * 2));
    assert_eq!(s.parameter_bytes, 8 * 8);
    assert_eq!(f.weight.device(), Device::Cpu);
    let nothing = summary(&Sequential::new(), &[7]);
    assert_eq!((nothing.output, nothing.parameters), (vec![7], 0));
    let norm = BatchNorm1d::new(3, 1e-5, 0.1);
    summary(&norm, &[1, 3]);
    assert_eq!(norm.num_batches_tracked.get().item(), 0.0);
    let layers = [LayerSpec::linear(3, 2), LayerSpec::linear(3, 2)];
    let wrong = Network::new("G", &layers, &random());
    refused(&["linear (in G.net.1): ", "[4, 2]"], || summary(&wrong, &[4, 3]));
    let of = Summary::of(&f, &Tensor::zeros(&[4, 3], DType::F64, Device::Cpu));
    assert_eq!(of, summary(&f, &[4, 3]));
}

#[test]
fn tables_are_aligned() {
    let (g, _) =
        networks(&TrainConfig::default(), [1, 28, 28], 10, &Generator::new(0, Stream::Init)).unwrap();
    let text = summary(&g, &[1000, 100]).to_string();
    let lines: Vec<&str> = text.lines().collect();
    let width = lines[1].chars().count();
    assert!(lines[..lines.len() - 1].iter().all(|l| l.chars().count() == width), "{text}");
    let total: Vec<&str> = lines[lines.len() - 2].split_whitespace().collect();
    let parameters = "561,168"; // 25,856 + 512 + 131,584 + 1,024 + 402,192
    let macs = "558,080,000"; // 1000 (100 * 256 + 256 * 512 + 512 * 784)
    assert_eq!(total, ["total", "[1000,", "784]", parameters, macs]);
    assert_eq!(lines[lines.len() - 1], "input [1000, 100], parameters 2.1 MiB, buffers 1,538 values");
    assert!(lines[9].ends_with("-") && lines[9].starts_with("G.net.7  Tanh"), "{text}");
}
