//! Optimisers over the parameters of a DCGAN's generator, in bytes per second.
//!
//!     cargo bench --bench optim
//!     GANVIL_SIMD=avx2 cargo bench --bench optim -- rmsprop

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ganvil::backend::cpu::simd;
use ganvil::gan::{networks, zoo};
use ganvil::nn::{parameters, parameters_mut};
use ganvil::optim::{Adam, AdamW, Optimizer, RmsProp, Rule, Sgd};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};

fn optim(c: &mut Criterion) {
    let random = Generator::new(0, Stream::General);
    let config = (zoo::recipe("dcgan64").expect("a recipe").config)();
    // Arrays that are read and written, each once: the parameter and its moments; the gradient is only read.
    let rules: [(&str, Rule, u64); 4] = [
        ("sgd with momentum", Sgd { momentum: 0.9, ..Sgd::default() }.into(), 5),
        ("adam", Adam::default().into(), 7),
        ("adamw", AdamW::default().into(), 7),
        ("rmsprop", RmsProp::default().into(), 5),
    ];
    for threads in [1, 2] {
        let mut group = c.benchmark_group(format!("optim/{}/{threads}t", simd::tier()));
        for (name, rule, arrays) in rules {
            let (mut g, _) = networks(&config, [3, 64, 64], 10, &random).expect("a network");
            let grads: Vec<Tensor> = parameters(&g)
                .iter()
                .map(|p| random.normal(p.shape(), 0.0, 0.01, DType::F32, Device::Cpu))
                .collect();
            let elements: usize = grads.iter().map(Tensor::numel).sum();
            let mut optimizer = Optimizer::new(rule);
            group.throughput(Throughput::Bytes(4 * arrays * elements as u64));
            group.bench_function(name, |b| {
                ganvil::threads(threads, || {
                    b.iter(|| {
                        optimizer.step(parameters_mut(&mut g), grads.iter().cloned().map(Some).collect())
                    })
                })
            });
        }
        group.finish();
    }
}

criterion_group!(benches, optim);
criterion_main!(benches);
